/* config.h - defaults, environment, ranges. */
#ifndef OI_CONFIG_H
#define OI_CONFIG_H

#include "base/compiler.h"
#include "ouro.h"

/* 0 or EINVAL. */
int oi_config_check(const ouro_config *c);
/* Overrides *c by the OURO_* variables; EINVAL for one that is malformed, which the log names. */
int oi_config_from_environment(ouro_config *c);

#endif
