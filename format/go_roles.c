#include "format/go_roles.h"

#include <string.h>

struct rule {
	const char *name; /* ending with '*': begins so */
	enum vmt_go_role role;
};

/* The first that fits. Those of runtime/cgo are C code that acts for the runtime. */
static const struct rule rules[] = {
    {"x_cgo_*", VMT_GO_ROLE_RUNTIME},
    {"_cgo_sys_*", VMT_GO_ROLE_RUNTIME},
    {"_cgo_try_*", VMT_GO_ROLE_RUNTIME},
    {"internal/runtime/syscall*", VMT_GO_ROLE_BY_CALL},
    {"runtime/internal/syscall*", VMT_GO_ROLE_BY_CALL},
    {"syscall.RawSyscall*", VMT_GO_ROLE_BY_CALL},
    {"syscall.Syscall*", VMT_GO_ROLE_BY_CALL},
};

#define RUNTIME "runtime."

/* ... of what comes behind the package's name. */
static const struct rule runtime_rules[] = {
    {"asmcgocall*", VMT_GO_ROLE_CROSSING},
    {"callCgoMmap*", VMT_GO_ROLE_RUNTIME},
    {"mmap*", VMT_GO_ROLE_RUNTIME},
    {"sysMmap*", VMT_GO_ROLE_RUNTIME},
    {"sysReserve*", VMT_GO_ROLE_RUNTIME},
    {"sysMap*", VMT_GO_ROLE_RUNTIME},
    {"systemstack*", VMT_GO_ROLE_RUNTIME},
    {"(*linearAlloc).alloc", VMT_GO_ROLE_RUNTIME},
    {"sysAlloc", VMT_GO_ROLE_AT_ONCE},
    {"sysAllocOS", VMT_GO_ROLE_AT_ONCE},
    {"cgocall*", VMT_GO_ROLE_TO_C},
    {"(*mheap).sysAlloc", VMT_GO_ROLE_ARENA},
    {"(*mheap).grow", VMT_GO_ROLE_ARENA},
    {"(*mheap).allocUserArenaChunk", VMT_GO_ROLE_ARENA},
    {"(*userArena)*", VMT_GO_ROLE_ARENA},
    {"(*mheap)*", VMT_GO_ROLE_METADATA},
    {"(*pageAlloc)*", VMT_GO_ROLE_METADATA},
    {"(*scavengeIndex)*", VMT_GO_ROLE_METADATA},
    {"(*fixalloc)*", VMT_GO_ROLE_METADATA},
    {"(*spanSet)*", VMT_GO_ROLE_METADATA},
    {"(*spanQueue)*", VMT_GO_ROLE_METADATA},
    {"(*spanSPMC)*", VMT_GO_ROLE_METADATA},
    {"(*lfstack)*", VMT_GO_ROLE_METADATA},
    {"newSpanSPMC*", VMT_GO_ROLE_METADATA},
    {"persistentalloc*", VMT_GO_ROLE_METADATA},
    {"recordspan", VMT_GO_ROLE_METADATA},
    {"newArenaMayUnlock", VMT_GO_ROLE_METADATA},
    {"newMarkBits", VMT_GO_ROLE_METADATA},
    {"stkbucket", VMT_GO_ROLE_METADATA},
    {"mallocinit", VMT_GO_ROLE_METADATA},
    {"newosproc*", VMT_GO_ROLE_STACK},
    {"newm*", VMT_GO_ROLE_STACK},
    {"stackalloc", VMT_GO_ROLE_STACK},
    {"stackpoolalloc", VMT_GO_ROLE_STACK},
    {"*", VMT_GO_ROLE_RUNTIME},
};

/* Whether one of `rules` may fit: most names fall out here. */
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

#define EACH UINT64_C(0x0101010101010101)

/* Not 0: at least one of the 8 bytes is 0. */
static uint64_t
has_zero(uint64_t bytes)
{
	return (bytes - EACH) & ~bytes & EACH << 7;
}

/* How many of the first characters are no dot and no end: whole words of 8. */
static size_t
skip_words(const char *name, size_t room)
{
	size_t at = 0;
	uint64_t word;

	for (; room - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, name + at, sizeof(word));
		if (has_zero(word) | has_zero(word ^ EACH * '.'))
			break;
	}
	return at;
}

/* All of Go's names have their package before a dot. */
static int
is_go_name(const char *name, size_t room)
{
	for (size_t i = skip_words(name, room); i < room && name[i] != '\0'; i++)
		if (name[i] == '.')
			return 1;
	return 0;
}

static const struct rule *
find_rule(const struct rule *first, size_t count, const char *name, size_t room)
{
	for (size_t i = 0; i < count; i++)
		if (matches(first[i].name, name, room))
			return &first[i];
	return NULL;
}

enum vmt_go_role
vmt_go_roles_of_name(const char *name, size_t room)
{
	const size_t package = sizeof(RUNTIME) - 1;
	const struct rule *rule = NULL;

	if (matches(RUNTIME "*", name, room))
		rule = find_rule(runtime_rules, sizeof(runtime_rules) / sizeof(*rule),
				 name + package, room - package);
	else if (room > 0 && may_have_rule(*name))
		rule = find_rule(rules, sizeof(rules) / sizeof(*rule), name, room);
	if (rule)
		return rule->role;
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
