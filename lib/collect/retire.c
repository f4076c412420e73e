/* retire.c - whether anything is left of a type whose plugin is to be closed. */
#include <errno.h>

#include "heap/type.h"

int ouro_type_retire(const ouro_type *type)
{
	if (!type)
		return EINVAL;
	int error = ouro_flush(); /* what is dead goes, and what its callbacks let die */
	return error ? error : oi_type_has_instances(type) ? EBUSY : 0;
}
