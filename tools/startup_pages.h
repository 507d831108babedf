/*
 * startup_pages.h: lets go of the program's own file pages that were needed so far
 *
 * To begin takes much code and many tables of the program and its libraries once. With each page
 * that is touched the kernel maps those around it, 64 KiB together. A process that then does one
 * thing for long needs few of them, and they count as its memory. What is used again comes back
 * from the page cache, at about a microsecond for 64 KiB.
 */
#ifndef VMT_STARTUP_PAGES_H
#define VMT_STARTUP_PAGES_H

/* Of every file that the loader has mapped, what is not writable; what relocation wrote stays,
 * and each segment of which somebody has changed a page. Where /proc does not tell, all stays.
 * Takes the loader's lock: not for signal handlers. What fails leaves things as they were. */
void vmt_startup_pages_release(void);

#endif
