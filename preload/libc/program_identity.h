/*
 * program_identity.h: whether this program is to be left alone, by what it is
 *
 * With LD_PRELOAD set for a whole container the library finds itself in the command that explains
 * its traces. The command carries an ELF note (format/command.h), whatever name it runs under.
 * Set-up only: takes the loader's lock.
 */
#ifndef VMT_PROGRAM_IDENTITY_H
#define VMT_PROGRAM_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

bool vmt_program_identity_is_command(void);

/* Whether this runs on valgrind's synthetic CPU, whatever the tool: by a client request, as its
 * valgrind.h has it, which any other CPU takes for nothing. */
bool vmt_program_identity_is_valgrinds(void);

/* Whether one of the names that the program has is among the globs (vmt_config_matches): that of
 * its file, that it was executed by (a link's, a script's), and its argv[0]'s (an applet's, or that
 * of what a loader was told to load). */
bool vmt_program_identity_is_named(const char *globs);

/* By which name it was executed, without directories; "" where the kernel does not say. */
const char *vmt_program_identity_name(void);

/* The part that tests call alone: whether the notes of a segment (aligned to 4, or to 8) have the
 * command's among them. */
bool vmt_program_identity_has_note(const void *notes, size_t bytes, size_t alignment);

#endif
