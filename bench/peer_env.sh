# peer_env.sh - sourced: what peers want of their environment

# jemalloc (peer_malloc.h).
export GLIBC_TUNABLES="${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}glibc.rtld.optional_static_tls=8192"
