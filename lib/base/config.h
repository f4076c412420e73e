/* config.h - defaults, environment, ranges. */
#ifndef OI_CONFIG_H
#define OI_CONFIG_H

#include "base/compiler.h"
#include "ouro.h"

/* Returns EINVAL if a field is out of range, else 0. */
int oi_config_check(const ouro_config *c);
/*
 * Overrides *c by the OURO_* variables. Returns EINVAL if one is malformed or out of range, which
 * the log names; the others have been applied.
 */
int oi_config_from_environment(ouro_config *c);

#endif
