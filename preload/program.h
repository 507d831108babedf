/*
 * program.h: is the main program the vmtrace command itself?
 *
 * With LD_PRELOAD set for a whole container the library finds itself in the command that explains
 * its traces. The command carries an ELF note (format/command.h), whatever name it runs under.
 * Set-up only: takes the loader's lock.
 */
#ifndef VMT_PROGRAM_H
#define VMT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

bool vmt_program_is_command(void);

/* The part that tests call alone: whether the notes of a segment (aligned to 4, or to 8) have the
 * command's among them. */
bool vmt_program_has_note(const void *notes, size_t bytes, size_t alignment);

#endif
