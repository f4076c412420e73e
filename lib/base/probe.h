/*
 * probe.h - places at which bpftrace, perf and SystemTap can look: USDT probes
 *
 * A probe is an instruction that does nothing, and a note in the file about where it is and where
 * its arguments are; who wants to know puts a breakpoint there. So there is nothing to switch on,
 * nor to test. Where <sys/sdt.h> is missing at build time (Debian: systemtap-sdt-dev), there are
 * none. The provider is ouro; ../../README.md lists the probes. A double underscore in a name reads
 * as a dash in SystemTap.
 */
#ifndef OI_PROBE_H
#define OI_PROBE_H

#include "base/compiler.h"

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define OI_PROBE1(name, a) DTRACE_PROBE1(ouro, name, a)
#define OI_PROBE2(name, a, b) DTRACE_PROBE2(ouro, name, a, b)
#define OI_PROBE3(name, a, b, c) DTRACE_PROBE3(ouro, name, a, b, c)
#define OI_PROBE4(name, a, b, c, d) DTRACE_PROBE4(ouro, name, a, b, c, d)
#endif
#endif

#ifndef OI_PROBE1
#define OI_PROBE1(name, a) ((void)(a))
#define OI_PROBE2(name, a, b) ((void)(a), (void)(b))
#define OI_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define OI_PROBE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

#endif
