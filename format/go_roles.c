#include "format/go_roles.h"

struct rule {
	const char *name; /* ending with '*': begins so */
	enum vmt_go_role role;
};

/* The first that fits. Functions of runtime/cgo, C code that acts for the runtime, come first. */
static const struct rule rules[] = {
    {"x_cgo_*", VMT_GO_ROLE_RUNTIME},
    {"_cgo_sys_*", VMT_GO_ROLE_RUNTIME},
    {"_cgo_try_*", VMT_GO_ROLE_RUNTIME},
    {"runtime.asmcgocall*", VMT_GO_ROLE_CROSSING},
    {"internal/runtime/syscall*", VMT_GO_ROLE_BY_CALL},
    {"runtime/internal/syscall*", VMT_GO_ROLE_BY_CALL},
    {"syscall.RawSyscall*", VMT_GO_ROLE_BY_CALL},
    {"syscall.Syscall*", VMT_GO_ROLE_BY_CALL},
    {"runtime.callCgoMmap*", VMT_GO_ROLE_RUNTIME},
    {"runtime.mmap*", VMT_GO_ROLE_RUNTIME},
    {"runtime.sysMmap*", VMT_GO_ROLE_RUNTIME},
    {"runtime.sysReserve*", VMT_GO_ROLE_RUNTIME},
    {"runtime.sysMap*", VMT_GO_ROLE_RUNTIME},
    {"runtime.systemstack*", VMT_GO_ROLE_RUNTIME},
    {"runtime.(*linearAlloc).alloc", VMT_GO_ROLE_RUNTIME},
    {"runtime.sysAlloc", VMT_GO_ROLE_AT_ONCE},
    {"runtime.sysAllocOS", VMT_GO_ROLE_AT_ONCE},
    {"runtime.cgocall*", VMT_GO_ROLE_TO_C},
    {"runtime.(*mheap).sysAlloc", VMT_GO_ROLE_ARENA},
    {"runtime.(*mheap).grow", VMT_GO_ROLE_ARENA},
    {"runtime.(*mheap).allocUserArenaChunk", VMT_GO_ROLE_ARENA},
    {"runtime.(*userArena)*", VMT_GO_ROLE_ARENA},
    {"runtime.(*mheap)*", VMT_GO_ROLE_METADATA},
    {"runtime.(*pageAlloc)*", VMT_GO_ROLE_METADATA},
    {"runtime.(*scavengeIndex)*", VMT_GO_ROLE_METADATA},
    {"runtime.(*fixalloc)*", VMT_GO_ROLE_METADATA},
    {"runtime.(*spanSet)*", VMT_GO_ROLE_METADATA},
    {"runtime.(*spanQueue)*", VMT_GO_ROLE_METADATA},
    {"runtime.(*spanSPMC)*", VMT_GO_ROLE_METADATA},
    {"runtime.(*lfstack)*", VMT_GO_ROLE_METADATA},
    {"runtime.newSpanSPMC*", VMT_GO_ROLE_METADATA},
    {"runtime.persistentalloc*", VMT_GO_ROLE_METADATA},
    {"runtime.recordspan", VMT_GO_ROLE_METADATA},
    {"runtime.newArenaMayUnlock", VMT_GO_ROLE_METADATA},
    {"runtime.newMarkBits", VMT_GO_ROLE_METADATA},
    {"runtime.stkbucket", VMT_GO_ROLE_METADATA},
    {"runtime.mallocinit", VMT_GO_ROLE_METADATA},
    {"runtime.newosproc*", VMT_GO_ROLE_STACK},
    {"runtime.newm*", VMT_GO_ROLE_STACK},
    {"runtime.stackalloc", VMT_GO_ROLE_STACK},
    {"runtime.stackpoolalloc", VMT_GO_ROLE_STACK},
    {"runtime.*", VMT_GO_ROLE_RUNTIME},
};

/* Whether a rule may fit: most names fall out here. */
static int
may_have_rule(char first)
{
	return first == 'r' || first == 'i' || first == 's' || first == 'x' || first == '_';
}

static int
matches(const char *pattern, const char *name, size_t room)
{
	for (size_t i = 0;; i++) {
		char c = i < room ? name[i] : '\0';

		if (pattern[i] == '*' && pattern[i + 1] == '\0')
			return 1;
		if (pattern[i] != c)
			return 0;
		if (c == '\0')
			return 1;
	}
}

/* All of Go's names have their package before a dot. */
static int
is_go_name(const char *name, size_t room)
{
	for (size_t i = 0; i < room && name[i] != '\0'; i++)
		if (name[i] == '.')
			return 1;
	return 0;
}

enum vmt_go_role
vmt_go_roles_of_name(const char *name, size_t room)
{
	size_t count = room > 0 && may_have_rule(*name) ? sizeof(rules) / sizeof(*rules) : 0;

	for (size_t i = 0; i < count; i++)
		if (matches(rules[i].name, name, room))
			return rules[i].role;
	return is_go_name(name, room) ? VMT_GO_ROLE_OTHER : VMT_GO_ROLE_CROSSING;
}

int
vmt_go_roles_add(struct vmt_go_code_roles *code, uint32_t start, enum vmt_go_role role)
{
	if (code->count > 0 && code->roles[code->count - 1] == role)
		return 1;
	if (code->count == VMT_GO_CODE_RANGES) {
		code->text = 0;
		code->count = 0;
		return 0;
	}
	code->starts[code->count] = start;
	code->roles[code->count++] = (uint8_t)role;
	return 1;
}

enum vmt_go_role
vmt_go_roles_at(const struct vmt_go_code_roles *code, uint64_t address)
{
	uint64_t into = address - code->text;
	uint32_t low = 0;
	uint32_t high = code->count;

	if (code->text == 0 || code->count == 0 || into >= code->bytes)
		return VMT_GO_ROLE_UNKNOWN;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (code->starts[middle] <= into)
			low = middle;
		else
			high = middle;
	}
	return (enum vmt_go_role)code->roles[low];
}

int
vmt_go_roles_check(const struct vmt_go_code_roles *code)
{
	if (code->count > VMT_GO_CODE_RANGES || (code->count > 0 && code->starts[0] != 0))
		return 0;
	for (uint32_t i = 0; i < code->count; i++) {
		if (code->roles[i] == VMT_GO_ROLE_UNKNOWN || code->roles[i] >= VMT_GO_ROLES ||
		    (i > 0 && code->starts[i] <= code->starts[i - 1]))
			return 0;
	}
	return 1;
}
