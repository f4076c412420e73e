/* load.h - from a package index outside to the graph that queries see */
#ifndef DEPSERVER_LOAD_H
#define DEPSERVER_LOAD_H

/*
 * load_graph - read, build and publish; queries go on with the old graph meanwhile
 * @file: where from; NULL: apt-cache dumpavail, and where that gives nothing, the sample shipped
 * with the source
 * @copies: how often each package is in the graph: it gets as many times as large
 *
 * Return:  0 or an errno value (ENODATA: no packages in it): then the old graph stays.
 */
int load_graph(const char *file, unsigned copies);

#endif
