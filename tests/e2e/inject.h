/*
 * inject.h: what becomes of a program when the kernel refuses the library a system call?
 *
 * Runs a program under ptrace, its threads, children and the collector that the library makes
 * included, and lets system calls fail that are made from within libvmtrace.so for the library's
 * own ends. The calls that the program made itself and that a hook passes on (mmap and the like)
 * are told apart by the source file of the instruction, which addr2line knows, and left alone; so
 * are those that no kernel refuses. close does close, whatever it then returns, as the kernel's
 * does.
 */
#ifndef VMT_INJECT_H
#define VMT_INJECT_H

#include "tests/e2e/harness.h"

enum inject_whose { INJECT_PROGRAM, INJECT_COLLECTOR };

struct injection {
	enum inject_whose whose;
	long first;	    /* number of the call that fails, from 1; 0: none */
	long last;	    /* and all up to this one */
	int error;	    /* errno */
	bool kills;	    /* who makes the first of them is killed instead */
	const char *source; /* only calls that are made in this source file count; NULL: all */
	/* No file below this directory can be mapped shared, whoever asks (ENODEV, as on FUSE with
	 * direct_io); NULL: all can. */
	const char *unmappable;
};

struct injected {
	struct run run;	 /* of the program, output included */
	long calls;	 /* of those that could have been made to fail */
	long failed;	 /* of those that were */
	bool lingered;	 /* the collector had not ended after INJECT_LINGER_MS, and was killed */
	char where[512]; /* source line of the first one that failed */
};

/* How long a collector may go on after the program. */
#define INJECT_LINGER_MS 20000

void inject_run(struct injected *injected, const struct injection *injection,
		const char *const argv[], const char *const environment[]);

#endif
