#include "tools/model/diff/diff_key.h"

#include <assert.h>
#include <string.h>

/* Offset basis and prime of 64-bit FNV-1a; the second word goes another way round. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)
#define HASH_OTHER_PRIME UINT64_C(0x9e3779b97f4a7c15)

static void
add_bytes(struct vmt_diff_key *key, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		key->words[0] = (key->words[0] ^ (unsigned char)bytes[i]) * HASH_PRIME;
		key->words[1] = (key->words[1] + (unsigned char)bytes[i] + 1) * HASH_OTHER_PRIME;
		key->words[1] ^= key->words[1] >> 29;
	}
}

/* With an end that no text has within. */
static void
add_text(struct vmt_diff_key *key, const char *text, size_t length)
{
	add_bytes(key, text, length);
	add_bytes(key, "", 1);
}

static bool
starts_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Length of a function's name without what compilers append to its copies. */
static size_t
function_length(const char *name)
{
	static const char *const copies[] = {".isra.", ".constprop.", ".part.",
					     ".cold",  ".lto_priv.",  ".llvm."};
	size_t length = strlen(name);

	for (size_t i = 0; i < sizeof(copies) / sizeof(*copies); i++) {
		const char *at = strstr(name, copies[i]);

		if (at && at > name && (size_t)(at - name) < length)
			length = (size_t)(at - name);
	}
	return length;
}

/* Length of "libx-2.36.so.1" up to "libx". */
static size_t
library_length(const char *base)
{
	const char *end = strstr(base, ".so");
	size_t length = end ? (size_t)(end - base) : strlen(base);
	size_t number = length;

	while (end && number > 0 && strchr("0123456789.", base[number - 1]))
		number--;
	return number > 1 && number < length && base[number - 1] == '-' ? number - 1 : length;
}

static void
add_module(struct vmt_diff_key *key, const char *module, const char *exe)
{
	const char *base = module ? base_name(module) : "";

	if (exe && module && strcmp(base, base_name(exe)) == 0)
		base = "";
	add_text(key, base, library_length(base));
}

/* Go's packages of the runtime, and the C and assembly between it and the program's C. */
static bool
is_go_runtime(const struct vmt_frame *frame)
{
	static const char *const beginnings[] = {"runtime.",	"runtime/", "internal/runtime/",
						 "_cgo_",	"x_cgo_",   "crosscall",
						 "threadentry", "_rt0_"};

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (frame->function && starts_with(frame->function, beginnings[i]))
			return true;
	return false;
}

/* main._Cfunc_grab: what cgo writes for a C function is no caller. */
static bool
is_cgo_glue(const struct vmt_frame *frame)
{
	return frame->function && strstr(frame->function, "._Cfunc_") != NULL;
}

static bool
is_own(const struct vmt_frame *frame)
{
	return frame->function && !vmt_report_is_c_library(frame) && !is_go_runtime(frame) &&
	       !is_cgo_glue(frame) && strcmp(frame->function, "_start") != 0;
}

static void
add_call(struct vmt_diff_key *key, const struct vmt_frame *frame, const char *exe)
{
	if (frame->function)
		add_text(key, frame->function, function_length(frame->function));
	else
		add_text(key, (const char *)&frame->module_offset, sizeof(frame->module_offset));
	add_module(key, frame->module, exe);
}

static void
add_calls(struct vmt_diff_key *key, const struct vmt_site *site, const char *exe, bool inlined)
{
	for (size_t i = 0; i < site->stack.count; i++)
		if (inlined || !site->stack.frames[i].inlined)
			add_call(key, &site->stack.frames[i], exe);
}

static bool
is_repeated(const struct vmt_frame *frame, const struct vmt_frame *before)
{
	size_t length = function_length(frame->function);

	return before && length == function_length(before->function) &&
	       memcmp(frame->function, before->function, length) == 0;
}

/* From the frame `first` on; how many it added. */
static size_t
add_own(struct vmt_diff_key *key, const struct vmt_site *site, size_t first, size_t at_most)
{
	const struct vmt_frame *before = NULL;
	size_t added = 0;

	for (size_t i = first; i < site->stack.count && added < at_most; i++) {
		const struct vmt_frame *frame = &site->stack.frames[i];

		if (!is_own(frame) || is_repeated(frame, before))
			continue;
		add_text(key, frame->function, function_length(frame->function));
		before = frame;
		added++;
	}
	return added;
}

/* The first frame beyond C code that Go code called; the end where there is none. */
static size_t
first_go(const struct vmt_site *site)
{
	size_t i = 0;

	while (i < site->stack.count && !is_cgo_glue(&site->stack.frames[i]) &&
	       !(site->stack.frames[i].function &&
		 starts_with(site->stack.frames[i].function, "runtime.asmcgocall")))
		i++;
	return i;
}

/* Nothing but runtime: the method that grows something tells what for, and outlives versions; else
 * the outermost function that has a name. A frame without a name may be the program's. */
static bool
add_purpose(struct vmt_diff_key *key, const struct vmt_site *site)
{
	const char *purpose = NULL;

	for (size_t i = 0; i < site->stack.count; i++) {
		const struct vmt_frame *frame = &site->stack.frames[i];

		if (!frame->function && !vmt_report_is_c_library(frame))
			return false;
		if (frame->function && !(purpose && starts_with(purpose, "runtime.(*")))
			purpose = frame->function;
	}
	if (!purpose)
		return false;
	add_text(key, purpose, function_length(purpose));
	return true;
}

struct vmt_diff_key
vmt_diff_key_make(const struct vmt_site *site, const char *exe, enum vmt_diff_round round)
{
	struct vmt_diff_key key = {{HASH_START, HASH_OTHER_PRIME}, true};

	add_text(&key, site->kind, strlen(site->kind));
	switch (round) {
	case VMT_DIFF_BY_NAMES:
		add_calls(&key, site, exe, true);
		break;
	case VMT_DIFF_BY_CALLS:
		add_calls(&key, site, exe, false);
		break;
	case VMT_DIFF_BY_OWN:
		key.usable = add_own(&key, site, 0, SIZE_MAX) > 0 || add_purpose(&key, site);
		break;
	case VMT_DIFF_BY_GO:
		key.usable = add_own(&key, site, first_go(site), SIZE_MAX) > 0;
		break;
	case VMT_DIFF_BY_INNERMOST:
		key.usable = add_own(&key, site, 0, 2) > 0;
		break;
	case VMT_DIFF_ROUNDS:
		assert(false);
	}
	return key;
}

bool
vmt_diff_key_is_runtime(const struct vmt_site *site)
{
	for (size_t i = 0; i < site->stack.count; i++) {
		const struct vmt_frame *frame = &site->stack.frames[i];

		if (!frame->function || vmt_report_is_c_library(frame) ||
		    starts_with(frame->function, "x_cgo_") || starts_with(frame->function, "_cgo_"))
			continue;
		return is_go_runtime(frame);
	}
	return false;
}

bool
vmt_diff_key_is_nameless_c(const struct vmt_site *site)
{
	size_t go = first_go(site);

	for (size_t i = 0; i < go; i++)
		if (is_own(&site->stack.frames[i]))
			return false;
	return go < site->stack.count;
}

bool
vmt_diff_key_is_named(const struct vmt_site *site)
{
	for (size_t i = 0; i < site->stack.count; i++)
		if (is_own(&site->stack.frames[i]))
			return true;
	return false;
}
