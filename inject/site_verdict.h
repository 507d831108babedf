/*
 * site_verdict.h: what was found out about a system call in a program's code
 */
#ifndef VMT_SITE_VERDICT_H
#define VMT_SITE_VERDICT_H

#include <stdint.h>

#define VMT_SITE_ANY_NUMBER UINT16_MAX /* whatever eax holds */
#define VMT_SITE_CUT_BYTES 24u	       /* at most, of whole instructions */

enum vmt_site_verdict {
	VMT_SITE_CUT,	       /* can be cut */
	VMT_SITE_GO_FORM,      /* a known function of Go's, which capture/go patches */
	VMT_SITE_CANCEL_POINT, /* musl's and glibc's, whose handler knows its addresses */
	VMT_SITE_JUMPED_INTO,  /* something leads into the middle of what would be cut */
	VMT_SITE_JUMPED_TO,    /* ... to the syscall itself, past the cut; its number is wanted */
	VMT_SITE_NO_ROOM,      /* not enough instructions before it in one straight run */
	VMT_SITE_CANT_MOVE,    /* an instruction before it can't run elsewhere */
	VMT_SITE_UNKNOWN_CODE, /* its function has bytes that are no known instruction */
	VMT_SITE_MAYBE_DATA,   /* in no known function, and nothing before it looks like a call */
	VMT_SITE_TOO_MANY,     /* others come before it; the last one, and stands for all of them */
	/* Found while the program runs: */
	VMT_SITE_TWO_PAGES, /* the jump would lie in two pages, which are not written at once */
	VMT_SITE_OCCUPIED,  /* a thread stands in the cut, or comes back to it */
	VMT_SITE_NO_PLACE,  /* nothing is free for the stubs within reach of its file */
};

#endif
