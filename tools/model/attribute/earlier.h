/*
 * earlier.h: what is memory that was there before the recording, of which no call is known?
 *
 * Of a process that was looked at from outside, or attached to while it ran. By evidence alone, the
 * strongest first, each for what is still open:
 *
 * - Go's arenas, by their shape (runtime/malloc.go, mallocinit and sysReserve, Go 1.11 to 1.26):
 * the runtime reserves them in multiples of 64 MiB, at multiples of that, and makes them accessible
 *   4 MiB at a time. Before Go 1.26 the first one is at an address that nothing else begins at.
 * - glibc's shape of a thread's heap (heap_pages.h), but that its reserve ends where it should.
 * - [heap], as the kernel calls what the program break has made.
 *
 * The rest is anonymous memory, no more.
 */
#ifndef VMT_EARLIER_H
#define VMT_EARLIER_H

#include "tools/model/attribute/regions.h"

/* Whose is memory that was there before the recording, where nothing else says it? */
enum vmt_earlier {
	VMT_EARLIER_LOADER,   /* a fresh image, or a fork child: not of this module's concern */
	VMT_EARLIER_PRESENT,  /* a running process: what PRESENT events tell */
	VMT_EARLIER_SNAPSHOT, /* nothing was recorded: all */
};

/* In a process with a Go runtime. */
void vmt_earlier_find_go(struct vmt_regions *regions);

/* Gives what is left its class, by what the kernel calls it. */
void vmt_earlier_settle(struct vmt_regions *regions, enum vmt_earlier earlier);

#endif
