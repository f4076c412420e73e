/* report.h - what was still held at shutdown. */
#ifndef OI_REPORT_H
#define OI_REPORT_H

#include "ouro.h"

/*
 * Counts the live objects that are held from outside, directly or through others; not the immortal
 * ones, nor what only these hold. The log names them by type.
 */
void oi_report_held(ouro_report *out);

#endif
