# old_tree.sh - the tree of a git revision, for those who compare with it; sourced

# A tree of its own, kept: what make finds there it need not build again.
old_tree() { # old_tree BASE: sets old
	revision=$(git rev-parse --verify --quiet "$1^{commit}") ||
		{ echo "no revision $1" >&2 && return 1; }
	old=build/compare/$(printf '%.12s' "$revision")
	[ -e "$old/Makefile" ] && return
	mkdir -p "$old" && git archive "$revision" | tar -x -C "$old"
}
