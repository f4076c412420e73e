/* metrics.h - the statistics in the text format of OpenMetrics. */
#ifndef OI_METRICS_H
#define OI_METRICS_H

#include "ouro.h"

/* Writes @s and the histograms of times. */
void oi_metrics_write(FILE *f, const ouro_stats *s);

#endif
