/*
 * message.h: prints one line on stderr where that can do the program no harm
 *
 * One line on descriptor 2, or none. What can happen to a program that never meant to write there:
 * SIGPIPE of a pipe or socket that nobody reads, SIGXFSZ beyond RLIMIT_FSIZE, SIGTTOU of a terminal
 * that is another job's, a wait for room in a pipe, a socket or a terminal, a line within its data
 * or its conversation with others. So the line is written
 *
 *   to a pipe, a terminal   by a call that never waits; not by a background job under TOSTOP
 *   to a socket             never waiting; not where it is descriptor 0 as well (inetd's)
 *   to a regular file       that is open for writing alone, as by 2>FILE, if it may grow so far
 *   to nothing else
 *
 * and only while descriptor 2 leads where it led at the start. These signals are blocked meanwhile;
 * one that the line has raised is taken back. Keeps errno, leaves no descriptor. Under a seccomp
 * filter it must not be called.
 */
#ifndef VMT_MESSAGE_H
#define VMT_MESSAGE_H

/* Remembers where descriptor 2 leads. Constructor only. */
void vmt_message_set_up(void);

/* "vmtrace: TEXT: DETAIL" (detail may be NULL), cut at 511 bytes. */
void vmt_message_say(const char *text, const char *detail);

#endif
