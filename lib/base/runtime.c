/* runtime.c - see runtime.h. */
#include "base/runtime.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

struct oi_runtime oi_runtime;

const char *ouro_version(void)
{
	return TEXT(OURO_VERSION_MAJOR) "." TEXT(OURO_VERSION_MINOR) "." TEXT(OURO_VERSION_PATCH);
}
