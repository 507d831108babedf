/*
 * syscall_sites.h: where in a program's code are the system calls that are to be recorded, and can
 * they be turned into jumps?
 *
 * A site is a syscall instruction. It is found by reading instructions from where a function, or
 * the code between known functions, begins; an 0f 05 in data or within another instruction is
 * none. What stands before it in one straight run tells its number. The cut is made of whole
 * instructions right before the syscall, at least a jump's 5 bytes, which can run elsewhere; of a
 * call that ends the process also before a jump that leads there. The syscall itself stays: a
 * thread that the kernel interrupted in it makes it again there.
 *
 * Nothing may lead into a cut but to its first byte (inject/code_jumps.h). A site that can't be
 * cut is listed with the reason. So is one whose cut can be gone around.
 */
#ifndef VMT_SYSCALL_SITES_H
#define VMT_SYSCALL_SITES_H

#include "base/buffer.h"
#include "inject/code_map.h"
#include "inject/site_verdict.h"

#include <stddef.h>
#include <stdint.h>

struct vmt_syscall_site {
	uint64_t address; /* of the cut's first byte */
	uint64_t syscall;
	uint64_t exit;	   /* behind the syscall */
	uint16_t number;   /* or VMT_SITE_ANY_NUMBER: in eax */
	uint8_t verdict;   /* enum vmt_site_verdict */
	uint8_t cut_bytes; /* address + cut_bytes == syscall; or before: a jump to it, once it has
			    * its number, stands there */
	uint8_t original[VMT_SITE_CUT_BYTES];
	uint32_t
	    others; /* that a VMT_SITE_TOO_MANY stands for beside itself, whatever their calls */
};

/* The numbers of the system calls that are wanted. */
struct vmt_wanted_calls {
	const uint16_t *numbers;
	uint32_t count;
	/* Those that return twice: the stub makes them. Not where a thread may stand there at the
	 * end. */
	const uint16_t *births;
	uint32_t births_count;
	/* Those that do not return where they work: as births. */
	const uint16_t *execs;
	uint32_t execs_count;
};

/* Which of the births it is; births_count: none. */
uint32_t vmt_syscall_sites_birth(const struct vmt_wanted_calls *wanted, uint32_t number);

/* Which of the execs it is; execs_count: none. */
uint32_t vmt_syscall_sites_exec(const struct vmt_wanted_calls *wanted, uint32_t number);

/* All sites of wanted calls, by address; also those that may make any call, unless their number is
 * known. `sites` grows; count is how many of struct vmt_syscall_site it holds afterwards. The map
 * must be settled. 0, or a negative errno. */
int vmt_syscall_sites_find(const struct vmt_code_map *map, const struct vmt_wanted_calls *wanted,
			   struct vmt_buffer *sites, size_t *count);

/* The reason of a verdict, as a clause that follows a function's name. */
const char *vmt_syscall_sites_why(enum vmt_site_verdict verdict);

#endif
