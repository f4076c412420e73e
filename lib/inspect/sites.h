/* sites.h - where sampled objects were made: the library's own questions. */
#ifndef OI_SITES_H
#define OI_SITES_H

/* At shutdown, with no lock held: the log names the sites of what is still held. */
void oi_sites_say_held(void);

#endif
