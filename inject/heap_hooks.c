/*
 * Over 500 lines: all that judges a family of functions works on one table.
 */
#include "inject/heap_hooks.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define STUB_ALIGNMENT 8u
#define OPERATOR_BYTES 256u /* of a name; a file's may be of any length */

/* -- names ------------------------------------------------------------------------------------- */

#define FAMILY_OF_NONE 1u
#define FAMILY_OF_JE 2u
#define FAMILY_OF_RJEM 4u
#define FAMILY_OF_TC 8u
#define FAMILY_OF_MI 16u
#define FAMILY_OF_RP 32u
#define FAMILY_OF_NEW 64u
#define ALL 127u
#define NAMED (ALL & ~FAMILY_OF_NEW)
#define JEMALLOC (FAMILY_OF_NONE | FAMILY_OF_JE | FAMILY_OF_RJEM)

/* How an allocator begins its names. glibc has each under several: where one is local to its file
 * (static-pie), __malloc is not. */
static const struct {
	const char *prefix;
	uint32_t family;
} prefixes[] = {
    {"", FAMILY_OF_NONE},	{"__", FAMILY_OF_NONE}, {"je_", FAMILY_OF_JE},
    {"_rjem_", FAMILY_OF_RJEM}, {"tc_", FAMILY_OF_TC},	{"mi_", FAMILY_OF_MI},
    {"rp", FAMILY_OF_RP},
};

#define PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

static const struct {
	const char *name;
	uint8_t entry;
	uint8_t families;
} names[] = {
    {"malloc", VMT_HEAP_ENTRY_MALLOC, NAMED},
    {"calloc", VMT_HEAP_ENTRY_CALLOC, NAMED},
    {"realloc", VMT_HEAP_ENTRY_REALLOC, NAMED},
    {"reallocarray", VMT_HEAP_ENTRY_REALLOCARRAY, NAMED},
    {"free", VMT_HEAP_ENTRY_FREE, NAMED},
    {"cfree", VMT_HEAP_ENTRY_FREE, NAMED},
    {"posix_memalign", VMT_HEAP_ENTRY_POSIX_MEMALIGN, NAMED},
    {"aligned_alloc", VMT_HEAP_ENTRY_ALIGNED_ALLOC, NAMED},
    {"memalign", VMT_HEAP_ENTRY_MEMALIGN, NAMED},
    {"valloc", VMT_HEAP_ENTRY_VALLOC, NAMED},
    {"pvalloc", VMT_HEAP_ENTRY_PVALLOC, NAMED},
    {"mallocx", VMT_HEAP_ENTRY_MALLOC, JEMALLOC},
    {"rallocx", VMT_HEAP_ENTRY_REALLOC, JEMALLOC},
    {"dallocx", VMT_HEAP_ENTRY_FREE, JEMALLOC},
    {"sdallocx", VMT_HEAP_ENTRY_FREE, JEMALLOC},
    {"free_sized", VMT_HEAP_ENTRY_FREE, FAMILY_OF_TC | FAMILY_OF_MI},
    {"free_size", VMT_HEAP_ENTRY_FREE, FAMILY_OF_MI},
    {"free_size_aligned", VMT_HEAP_ENTRY_FREE, FAMILY_OF_MI},
    {"free_aligned", VMT_HEAP_ENTRY_FREE, FAMILY_OF_MI},
    {"zalloc", VMT_HEAP_ENTRY_MALLOC, FAMILY_OF_MI},
    {"malloc_aligned", VMT_HEAP_ENTRY_MALLOC, FAMILY_OF_MI},
    {"zalloc_aligned", VMT_HEAP_ENTRY_MALLOC, FAMILY_OF_MI},
    {"realloc_aligned", VMT_HEAP_ENTRY_REALLOC, FAMILY_OF_MI},
};

#define NAMES (sizeof(names) / sizeof(names[0]))

static bool
ends_in(const char *name, const char *end)
{
	size_t length = strlen(name);
	size_t end_length = strlen(end);

	return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* The variants of operator new and delete of the Itanium ABI: what follows is their arguments. */
static bool
is_operator(const char *name, const char *single, const char *array)
{
	return memcmp(name, single, 4) == 0 || memcmp(name, array, 4) == 0;
}

static int
know_operator(const char *name)
{
	size_t length = strnlen(name, OPERATOR_BYTES);

	if (length < 5 || length == OPERATOR_BYTES)
		return -1;
	if (is_operator(name, "_Znw", "_Zna") && name[4] == 'm')
		return ends_in(name, "RKSt9nothrow_t") ? VMT_HEAP_ENTRY_NEW_NOTHROW
						       : VMT_HEAP_ENTRY_NEW;
	if (is_operator(name, "_Zdl", "_Zda") && name[4] == 'P' && name[5] == 'v')
		return VMT_HEAP_ENTRY_DELETE;
	return -1;
}

/* At a thread's end glibc's frees by malloc's own functions what it had kept of released blocks. */
static bool
is_cleanup(const char *name)
{
	return strcmp(name, "__malloc_arena_thread_freeres") == 0 ||
	       strcmp(name, "arena_thread_freeres") == 0;
}

/* The entry; negative: it is no such function. *family: a bit. */
static int
know(const char *name, uint32_t *family)
{
	if (is_cleanup(name)) {
		*family = FAMILY_OF_NONE;
		return VMT_HEAP_ENTRY_CLEANUP;
	}
	if (name[0] == '_' && name[1] == 'Z') {
		*family = FAMILY_OF_NEW;
		return know_operator(name);
	}
	for (size_t i = 0; i < PREFIXES; i++) {
		const char *at = name;
		const char *prefix = prefixes[i].prefix;

		for (; *prefix && *at == *prefix; prefix++)
			at++;
		if (*prefix)
			continue;
		*family = prefixes[i].family;
		for (size_t j = 0; j < NAMES; j++)
			if ((names[j].families & *family) && strcmp(at, names[j].name) == 0)
				return names[j].entry;
	}
	return -1;
}

/* -- finding ----------------------------------------------------------------------------------- */

enum form {
	ACQUIRE_1,
	ACQUIRE_2,
	ACQUIRE_PRODUCT,
	CHANGE_2,
	CHANGE_PRODUCT,
	RELEASE,
	ACQUIRE_AT,
	INSIDE,
	NEW,
	OR_ELSE,
};

#define FORM(entry, event, form) [VMT_HEAP_ENTRY_##entry] = form,
static const uint8_t forms[VMT_HEAP_ENTRIES_COUNT] = {VMT_HEAP_ENTRIES(FORM)};
#undef FORM

struct collector {
	struct vmt_heap_hooks *hooks;
	uint64_t bias;
};

/* In the order of their addresses. One address may have several names. */
static void
add(struct vmt_heap_hooks *hooks, uint64_t address, uint8_t entry, uint32_t family, bool is_malloc)
{
	struct vmt_heap_function *functions = hooks->functions;
	uint32_t at = 0;

	while (at < hooks->count && functions[at].address < address)
		at++;
	if (at < hooks->count && functions[at].address == address) {
		functions[at].families |= family;
		functions[at].is_mixed |= forms[functions[at].entry] != forms[entry];
		functions[at].is_malloc |= is_malloc;
		return;
	}
	hooks->is_glibc |= entry == VMT_HEAP_ENTRY_CLEANUP;
	hooks->is_crowded |= hooks->count == VMT_HEAP_HOOKS_MAX;
	if (hooks->is_crowded)
		return;
	memmove(&functions[at + 1], &functions[at], (hooks->count - at) * sizeof(*functions));
	functions[at] = (struct vmt_heap_function){
	    .address = address, .families = family, .entry = entry, .is_malloc = is_malloc};
	hooks->count++;
}

/* How an operator new is led; negative: it is not, but counted. */
static int
lead_new(struct vmt_heap_hooks *hooks, const char *name, int entry, uint64_t address)
{
	if (hooks->may_throw)
		return VMT_HEAP_ENTRY_NEW;
	if (entry == VMT_HEAP_ENTRY_NEW_NOTHROW)
		return entry;
	if (strlen(name) == 5) /* its only argument is the size */
		return VMT_HEAP_ENTRY_NEW_OR_ELSE;
	hooks->left++;
	if (hooks->left_at == 0 || address < hooks->left_at)
		hooks->left_at = address;
	return -1;
}

static bool
is_new(int entry)
{
	return entry == VMT_HEAP_ENTRY_NEW || entry == VMT_HEAP_ENTRY_NEW_NOTHROW ||
	       entry == VMT_HEAP_ENTRY_NEW_OR_ELSE;
}

/* A name without a prefix that no other file could call is a helper of one source file's. */
static void
take(void *context, const struct vmt_file_function *function)
{
	const struct collector *collector = context;
	struct vmt_heap_hooks *hooks = collector->hooks;
	uint64_t address = function->address + collector->bias;
	uint32_t family = 0;
	int entry = know(function->name, &family);

	if (entry < 0 || function->is_indirect ||
	    (family == FAMILY_OF_NONE && function->is_local && entry != VMT_HEAP_ENTRY_CLEANUP))
		return;
	hooks->has_new |= is_new(entry);
	if (family == FAMILY_OF_NEW && !hooks->may_throw && !hooks->owns_operators)
		return;
	hooks->is_other |= (family & ~(FAMILY_OF_NONE | FAMILY_OF_NEW)) != 0 ||
			   strcmp(function->name, "mallocx") == 0;
	if (is_new(entry))
		entry = lead_new(hooks, function->name, entry, address);
	if (entry >= 0)
		add(hooks, address, (uint8_t)entry, family, ends_in(function->name, "malloc"));
}

void
vmt_heap_hooks_collect(struct vmt_heap_hooks *hooks, const struct vmt_file *file, uint64_t bias)
{
	struct collector collector = {hooks, bias};

	vmt_file_functions_each(file, take, &collector);
}

/* Makes and releases blocks: else there is nothing to be recorded. */
static uint32_t
whole_families(const struct vmt_heap_hooks *hooks)
{
	uint32_t made = 0;
	uint32_t released = 0;

	for (uint32_t i = 0; i < hooks->count; i++) {
		const struct vmt_heap_function *function = &hooks->functions[i];

		if (function->entry == VMT_HEAP_ENTRY_MALLOC || is_new(function->entry))
			made |= function->families;
		else if (function->entry == VMT_HEAP_ENTRY_FREE ||
			 function->entry == VMT_HEAP_ENTRY_DELETE)
			released |= function->families;
	}
	return made & released;
}

/* Without a malloc of the program's own its operators call another one, which is seen. */
static void
leave_out_operators(struct vmt_heap_hooks *hooks)
{
	uint32_t kept = 0;
	bool has_own = false;

	for (uint32_t i = 0; i < hooks->count; i++)
		has_own |= hooks->functions[i].families != FAMILY_OF_NEW;
	for (uint32_t i = 0; i < hooks->count; i++)
		if (has_own || hooks->functions[i].families != FAMILY_OF_NEW)
			hooks->functions[kept++] = hooks->functions[i];
	hooks->count = kept;
}

/* A function that two families share joins them; and so do operators that are the malloc's. */
static uint32_t
spread(const struct vmt_heap_hooks *hooks, uint32_t refused)
{
	uint32_t before;

	if (hooks->owns_operators && hooks->has_new && refused & (FAMILY_OF_NEW | FAMILY_OF_NONE))
		return ALL;

	do {
		before = refused;
		for (uint32_t i = 0; i < hooks->count; i++)
			if (hooks->functions[i].families & refused)
				refused |= hooks->functions[i].families;
	} while (refused != before);
	return refused;
}

static void
refuse(struct vmt_heap_hooks *hooks, uint32_t families)
{
	uint32_t refused = spread(hooks, families);

	hooks->led = 0;
	for (uint32_t i = 0; i < hooks->count; i++) {
		hooks->functions[i].is_led &= !(hooks->functions[i].families & refused);
		hooks->led += hooks->functions[i].is_led;
	}
}

static int
judge_sites(struct vmt_heap_hooks *hooks, const struct vmt_code_map *map)
{
	uint64_t addresses[VMT_HEAP_HOOKS_MAX];
	struct vmt_entry_site sites[VMT_HEAP_HOOKS_MAX];
	int error;

	for (uint32_t i = 0; i < hooks->count; i++)
		addresses[i] = hooks->functions[i].address;
	error = vmt_entry_hook_find(map, addresses, hooks->count, sites);
	for (uint32_t i = 0; error == 0 && i < hooks->count; i++)
		hooks->functions[i].site = sites[i];
	return error;
}

static const char *
why(uint8_t verdict)
{
	switch (verdict) {
	case VMT_SITE_JUMPED_INTO:
		return "has a jump into its first instructions";
	case VMT_SITE_NO_ROOM:
		return "is too short";
	case VMT_SITE_CANT_MOVE:
		return "begins with an instruction that can't run elsewhere";
	default:
		return "has bytes that are no known instruction";
	}
}

static void
note_unled(struct vmt_heap_hooks *hooks, const struct vmt_heap_function *function, const char *why)
{
	if (hooks->unled_at != 0)
		return;
	hooks->unled_at = function->address;
	hooks->unled_why = why;
}

/* The only malloc that is led; NULL: there is none, or several. */
static const struct vmt_heap_function *
only_malloc(const struct vmt_heap_hooks *hooks)
{
	const struct vmt_heap_function *found = NULL;

	for (uint32_t i = 0; i < hooks->count; i++) {
		if (!hooks->functions[i].is_led || !hooks->functions[i].is_malloc)
			continue;
		if (found)
			return NULL;
		found = &hooks->functions[i];
	}
	return found;
}

/* Without a malloc that does what they do. What they make is not seen then, and nor is its release:
 * that of a block that is not known. */
static void
leave_new_alone(struct vmt_heap_hooks *hooks)
{
	if (only_malloc(hooks))
		return;
	for (uint32_t i = 0; i < hooks->count; i++) {
		struct vmt_heap_function *function = &hooks->functions[i];

		if (function->entry != VMT_HEAP_ENTRY_NEW_OR_ELSE || !function->is_led)
			continue;
		function->is_led = false;
		hooks->led--;
		note_unled(hooks, function, "may throw");
	}
}

int
vmt_heap_hooks_judge(struct vmt_heap_hooks *hooks, const struct vmt_code_map *map)
{
	uint32_t refused;
	int error;

	leave_out_operators(hooks);
	/* Its operator new need not call malloc, nor its delete free. */
	if (!hooks->may_throw && !hooks->owns_operators && hooks->has_new && hooks->is_other) {
		vmt_heap_hooks_give_up(hooks, "is of an allocator whose operator new may throw");
		return 0;
	}
	refused = hooks->is_crowded ? ALL : ALL & ~whole_families(hooks);
	error = judge_sites(hooks, map);
	if (error < 0)
		return error;
	for (uint32_t i = 0; i < hooks->count; i++) {
		struct vmt_heap_function *function = &hooks->functions[i];

		function->is_led = true;
		if (function->site.verdict == VMT_SITE_CUT && !function->is_mixed)
			continue;
		refused |= function->families;
		note_unled(hooks, function,
			   function->is_mixed ? "has the names of two different functions"
					      : why(function->site.verdict));
	}
	refuse(hooks, refused);
	for (uint32_t i = 0; i < hooks->count; i++)
		if (!hooks->functions[i].is_led)
			note_unled(hooks, &hooks->functions[i], "is not the whole of an allocator");
	leave_new_alone(hooks);
	if (hooks->left != 0 && hooks->unled_at == 0) {
		hooks->unled_at = hooks->left_at;
		hooks->unled_why = "may throw";
	}
	return 0;
}

void
vmt_heap_hooks_refuse_overlap(struct vmt_heap_hooks *hooks, uint64_t low, uint64_t high)
{
	for (uint32_t i = 0; i < hooks->count; i++) {
		struct vmt_heap_function *function = &hooks->functions[i];
		const struct vmt_entry_site *site = &function->site;

		if (!function->is_led || site->address >= high ||
		    site->address + site->cut_bytes <= low)
			continue;
		note_unled(hooks, function, "begins with a system call");
		refuse(hooks, function->families);
	}
}

void
vmt_heap_hooks_refuse(struct vmt_heap_hooks *hooks, uint32_t number, const char *reason)
{
	note_unled(hooks, &hooks->functions[number], reason);
	refuse(hooks, hooks->functions[number].families);
	leave_new_alone(hooks);
}

void
vmt_heap_hooks_give_up(struct vmt_heap_hooks *hooks, const char *reason)
{
	if (hooks->count != 0)
		note_unled(hooks, &hooks->functions[0], reason);
	refuse(hooks, ALL);
}

void
vmt_heap_hooks_move(struct vmt_heap_hooks *hooks, uint64_t up)
{
	for (uint32_t i = 0; i < hooks->count; i++) {
		hooks->functions[i].address += up;
		hooks->functions[i].site.function += up;
		hooks->functions[i].site.address += up;
	}
	hooks->unled_at += hooks->unled_at != 0 ? up : 0;
	hooks->left_at += hooks->left_at != 0 ? up : 0;
}

bool
vmt_heap_hooks_is_allocator(const struct vmt_file *file)
{
	struct vmt_heap_hooks hooks = {.count = 0};

	if (vmt_file_functions_bytes(file) > VMT_HEAP_HOOKS_SYMBOLS_KNOWN_BYTES)
		return false;
	vmt_heap_hooks_collect(&hooks, file, 0);
	return whole_families(&hooks) != 0;
}

uint32_t
vmt_heap_hooks_unled(const struct vmt_heap_hooks *hooks)
{
	return hooks->count - hooks->led + hooks->left;
}

/* -- making ------------------------------------------------------------------------------------ */

uint64_t
vmt_heap_hooks_stub_bytes(const struct vmt_heap_hooks *hooks)
{
	return (uint64_t)hooks->led * VMT_ENTRY_HOOK_STUB_BYTES;
}

_Static_assert(VMT_ENTRY_HOOK_STUB_BYTES % STUB_ALIGNMENT == 0, "each stub is aligned");

/* Where the malloc as it was will be called, by the place of its stub among all; 0: none. */
static uint64_t
way_to_malloc(const struct vmt_heap_hooks *hooks, uint64_t address)
{
	const struct vmt_heap_function *malloc_function = only_malloc(hooks);

	for (uint32_t i = 0; malloc_function && i < hooks->count; i++) {
		if (&hooks->functions[i] == malloc_function)
			return address;
		if (hooks->functions[i].is_led)
			address += VMT_ENTRY_HOOK_STUB_BYTES;
	}
	return 0;
}

int
vmt_heap_hooks_write_stubs(struct vmt_heap_hooks *hooks, uint64_t address,
			   const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT], uint8_t *stubs)
{
	uint64_t acquire = way_to_malloc(hooks, address);
	uint64_t at = 0;

	vmt_assert(address % STUB_ALIGNMENT == 0);
	for (uint32_t i = 0; i < hooks->count; i++) {
		struct vmt_heap_function *function = &hooks->functions[i];
		long bytes;

		if (!function->is_led)
			continue;
		bytes = vmt_entry_hook_make(
		    &function->site, address + at, handlers[function->entry],
		    forms[function->entry] == OR_ELSE ? acquire : 0, stubs + at, &function->hook);
		if (bytes < 0)
			return (int)bytes;
		at += VMT_ENTRY_HOOK_STUB_BYTES;
	}
	hooks->stubs = address;
	hooks->stubs_bytes = at;
	return 0;
}

int
vmt_heap_hooks_make(const struct vmt_heap_hooks *hooks, const struct vmt_target *target)
{
	for (uint32_t i = 0; hooks->stubs != 0 && i < hooks->count; i++) {
		const struct vmt_entry_hook *hook = &hooks->functions[i].hook;
		int error;

		if (!hooks->functions[i].is_led)
			continue;
		error = vmt_target_write(target, hook->address, hook->new_bytes, hook->length);
		if (error == 0)
			continue;
		(void)vmt_heap_hooks_undo(hooks, target);
		return error;
	}
	return 0;
}

int
vmt_heap_hooks_undo(const struct vmt_heap_hooks *hooks, const struct vmt_target *target)
{
	int first = 0;

	for (uint32_t i = 0; hooks->stubs != 0 && i < hooks->count; i++) {
		const struct vmt_entry_hook *hook = &hooks->functions[i].hook;
		int error = 0;

		if (hooks->functions[i].is_led)
			error = vmt_target_take_back(target, hook->address, hook->new_bytes,
						     hook->old_bytes, hook->length);
		if (first == 0)
			first = error;
	}
	return first;
}
