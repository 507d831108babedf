/*
 * close_descriptors.h: closes what a new process has open
 *
 * Also where the kernel has no close_range, there is no /proc, or no descriptor is left to look
 * with. Raw system calls only; in a process of one thread.
 */
#ifndef VMT_CLOSE_DESCRIPTORS_H
#define VMT_CLOSE_DESCRIPTORS_H

/* Every descriptor from this number on. */
void vmt_close_descriptors_from(int first);

#endif
