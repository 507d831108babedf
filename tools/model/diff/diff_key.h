/*
 * diff_key.h: recognises one call site in two runs.
 *
 * A key a site and round; equal keys are the same site. Round by round more of what changes from
 * build to build and from version to version is left out of the key. Addresses and line numbers are
 * in none. Names that compilers make of one function (.isra.0, .constprop.1, .cold) are that
 * function; a library is its file's name without its version, the program itself has no name. Keys
 * are 128-bit hashes: names are untrusted and may be long, and what a trace could gain by a
 * collision is two of its own rows added up.
 *
 * Frames of the C, C++ and Go runtimes are not a program's own. Pure functions, no allocation.
 */
#ifndef VMT_DIFF_KEY_H
#define VMT_DIFF_KEY_H

#include "tools/model/report/report.h"

enum vmt_diff_round {
	VMT_DIFF_BY_NAMES,     /* every function with its module, inlined ones too */
	VMT_DIFF_BY_CALLS,     /* the same without inlined functions */
	VMT_DIFF_BY_OWN,       /* the program's own functions, recursion folded */
	VMT_DIFF_BY_GO,	       /* where Go calls C code: the Go functions alone */
	VMT_DIFF_BY_INNERMOST, /* the two innermost of these: one alone would take all callers of
				  an allocating helper for one owner */
	VMT_DIFF_ROUNDS,
};

struct vmt_diff_key {
	uint64_t words[2];
	bool usable; /* false: nothing is left to go by in this round */
};

struct vmt_diff_key vmt_diff_key_make(const struct vmt_site *site, const char *exe,
				      enum vmt_diff_round round);

/* Made by Go's runtime for itself. Which of a program's stacks makes its heap grow is chance. */
bool vmt_diff_key_is_runtime(const struct vmt_site *site);

/* C code that Go code called, none of which has a name, as in a stripped program: it may be any
 * that this Go code calls. */
bool vmt_diff_key_is_nameless_c(const struct vmt_site *site);

/* Some function of the program's own has a name. */
bool vmt_diff_key_is_named(const struct vmt_site *site);

#endif
