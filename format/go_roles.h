/*
 * go_roles.h: what a Go function on a stack tells of the memory call
 *
 * By its name, as Go 1.18 to 1.26 have it. A trace carries the roles of a program's code, so that
 * its classes do not depend on the file: struct vmt_go_code is the text cut into ranges of one role
 * each, in order; range i is [text + starts[i], text + starts[i + 1]), the last one ends at end.
 * Numbers of roles are the file format's.
 */
#ifndef VMT_FORMAT_GO_ROLES_H
#define VMT_FORMAT_GO_ROLES_H

#include <stddef.h>
#include <stdint.h>

enum vmt_go_role {
	VMT_GO_ROLE_UNKNOWN = 0,
	VMT_GO_ROLE_CROSSING = 1, /* C code, or from C to Go, in whatever sense */
	VMT_GO_ROLE_BY_CALL = 2,  /* Go's packages for system calls: a way, whoever takes it */
	VMT_GO_ROLE_RUNTIME = 3, /* the runtime, which is a way to the call, but no reason for it */
	VMT_GO_ROLE_AT_ONCE = 4, /* memory to be used at once: never an arena, reserved first */
	VMT_GO_ROLE_TO_C = 5,	 /* Go code has called C code, whose call it is */
	VMT_GO_ROLE_ARENA = 6,
	VMT_GO_ROLE_METADATA = 7,
	VMT_GO_ROLE_STACK = 8,
	VMT_GO_ROLE_OTHER = 9, /* Go code outside of the runtime */
	VMT_GO_ROLES
};

#define VMT_GO_CODE_RANGES 600u

struct vmt_go_code_roles {
	uint64_t text; /* run-time address; 0: nothing is known */
	uint32_t bytes;
	uint32_t count;
	uint32_t starts[VMT_GO_CODE_RANGES]; /* rising; the first is 0 */
	uint8_t roles[VMT_GO_CODE_RANGES];   /* enum vmt_go_role */
};

/* Of a function; the name ends with a NUL or after room bytes. Pure. */
enum vmt_go_role vmt_go_roles_of_name(const char *name, size_t room);

/* The next function's role, in order of addresses. False, and nothing is known: too many ranges. */
int vmt_go_roles_add(struct vmt_go_code_roles *code, uint32_t start, enum vmt_go_role role);

/* Of an address; UNKNOWN where it lies outside. The table has been checked. */
enum vmt_go_role vmt_go_roles_at(const struct vmt_go_code_roles *code, uint64_t address);

/* Whether an untrusted table can be used. */
int vmt_go_roles_check(const struct vmt_go_code_roles *code);

#endif
