#include "capture/go/go_patch.h"

#include "base/assert.h"
#include "base/near_place.h"
#include "base/pages.h"
#include "base/sys.h"
#include "base/text.h"
#include "capture/core/guard.h"
#include "format/go_forms.h"
#include "format/raw_calls.h"

#include <string.h>
#include <sys/mman.h>

uint64_t vmt_go_patch_exits[VMT_GO_PATCH_NUMBERS];
uint64_t vmt_go_patch_bypasses[VMT_GO_PATCH_NUMBERS];
struct vmt_go_patch_left vmt_go_patch_left;

#if defined(__x86_64__)

#define STUB_BYTES 256u
#define SYSCALL_BYTES 2u
#define JUMP_BYTES 5u
#define IN_EAX UINT32_MAX /* the number of the call is the caller's */

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/*
 * A known function (format/go_forms.h). [cut, cut + cut_bytes), whole instructions right before the
 * syscall, is replaced: nobody can jump into the middle of it, as these are all the instructions
 * there are. The syscall itself stays: a profiler's signal that strikes there finds it in Go's own
 * text.
 */
struct form {
	enum vmt_go_function function;
	uint32_t number;
	uint8_t bytes[48];
	uint8_t bytes_count;
	uint8_t cut;
	uint8_t cut_bytes;
};

static const struct form forms[] = {
    {VMT_GO_MADVISE, 28, {VMT_GO_FORM_MADVISE}, 28, 14, 7},
    {VMT_GO_MADVISE, 28, {VMT_GO_FORM_MADVISE_SHORT}, 26, 14, 5},
    {VMT_GO_MMAP, 9, {VMT_GO_FORM_MMAP}, 42, 29, 5},
    {VMT_GO_MUNMAP, 11, {VMT_GO_FORM_MUNMAP}, 25, 10, 7},
    {VMT_GO_MUNMAP, 11, {VMT_GO_FORM_MUNMAP_SHORT}, 23, 10, 5},
    {VMT_GO_EXIT, 231, {VMT_GO_FORM_EXIT}, 12, 4, 5},
    {VMT_GO_SYSCALL, IN_EAX, {VMT_GO_FORM_SYSCALL}, 20, 6, 6},
};

static const enum vmt_go_function functions[] = {VMT_GO_MADVISE, VMT_GO_MMAP, VMT_GO_MUNMAP,
						 VMT_GO_EXIT, VMT_GO_SYSCALL};

/* Numbers that the handler wants to see of the calls that go through Syscall6. */
static const uint32_t wanted_numbers[] = {SYS_mmap,  SYS_mprotect,   SYS_munmap,
					  SYS_brk,   SYS_mremap,     SYS_madvise,
					  SYS_prctl, SYS_exit_group, SYS_seccomp};

struct patcher {
	struct vmt_go *go;
	const struct vmt_go_image *image;
	uint64_t bias;
	const void *entry;
	const char *refusal;
	unsigned char *stubs; /* a page near the text, writable; NULL: none yet */
	struct vmt_go_patch_place patches[VMT_GO_SITES];
	uint32_t count;
};

static void
copy_text(char *to, uint64_t room, const char *from)
{
	uint64_t length = vmt_text_string_bytes(from);

	length = length < room ? length : room - 1;
	memcpy(to, from, length);
	to[length] = '\0';
}

static struct vmt_go_site *
note(struct patcher *patcher, const char *symbol, uint64_t address, const char *why)
{
	struct vmt_go *go = patcher->go;
	struct vmt_go_site *site;

	if (go->sites_count == VMT_GO_SITES)
		return NULL;
	site = &go->sites[go->sites_count++];
	vmt_assert(go->sites_count <= VMT_GO_SITES);
	site->address = address;
	copy_text(site->symbol, sizeof(site->symbol), symbol);
	copy_text(site->why, sizeof(site->why), why);
	return site;
}

static unsigned char *
map_at(uint64_t wish)
{
	void *page = vmt_sys_mmap((void *)wish, vmt_page_bytes, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (vmt_sys_failed(page))
		return NULL;
	if ((uint64_t)page == wish) {
		vmt_own_memory_add(wish, vmt_page_bytes);
		return page;
	}
	vmt_sys_munmap(page, vmt_page_bytes);
	return NULL;
}

/* Above where all below is taken: newer runtimes reserve more than 1 GiB right below a library. */
static unsigned char *
map_near(uint64_t low, uint64_t high)
{
	unsigned char *page = NULL;
	uint64_t wish;

	for (uint32_t i = 0; !page && (wish = vmt_near_place(low, high, vmt_page_bytes, i)); i++)
		page = map_at(wish);
	for (uint32_t i = 0; !page && (wish = vmt_near_place_above(low, high, vmt_page_bytes, i));
	     i++)
		page = map_at(wish);
	return page;
}

/* Machine code at a place that it is to run at. */
struct writer {
	unsigned char *at;
};

static void
put(struct writer *writer, const void *bytes, uint64_t count)
{
	memcpy(writer->at, bytes, count);
	writer->at += count;
}

static void
put_byte(struct writer *writer, unsigned char byte)
{
	put(writer, &byte, 1);
}

static void
put_number(struct writer *writer, uint32_t number)
{
	put(writer, &number, sizeof(number));
}

/* jmp, relative; from is where the instruction will lie. */
static void
put_jump(struct writer *writer, uint64_t from, uint64_t to)
{
	int64_t distance = (int64_t)(to - (from + JUMP_BYTES));

	vmt_assert(distance == (int32_t)distance);
	put_byte(writer, 0xe9);
	put_number(writer, (uint32_t)distance);
}

/* jmp *0(%rip), with the address behind it. */
static void
put_jump_far(struct writer *writer, const void *to)
{
	static const unsigned char jump[] = {0xff, 0x25, 0, 0, 0, 0};
	uint64_t address = (uint64_t)to;

	put(writer, jump, sizeof(jump));
	put(writer, &address, sizeof(address));
}

/* or $number,%eax */
static void
put_or(struct writer *writer, uint32_t number)
{
	put_byte(writer, 0x0d);
	put_number(writer, number);
}

static uint64_t
syscall_of(const struct form *form, uint64_t function)
{
	return function + form->cut + form->cut_bytes;
}

/* Tells an execve, makes it, and tells that it has failed (format/raw_calls.h):
 * mov $tag,%eax; to the entry; the exit's address; made: mov $59,%eax; syscall; neg %eax;
 * or $failed,%eax; to the entry; bypass: and $error,%eax; neg %rax; jump to the exit. No stack is
 * used: a vfork child runs here while other threads of its parent do. */
static void
put_exec(struct writer *writer, uint32_t index, const void *entry, uint64_t exit)
{
	static const unsigned char make[] = {0x0f, 0x05, 0xf7, 0xd8};
	static const unsigned char negate[] = {0x48, 0xf7, 0xd8};
	uint32_t told = VMT_GO_SITES + index;
	uint32_t failed = 2 * VMT_GO_SITES + index;

	put_byte(writer, 0xb8);
	put_number(writer, told << VMT_GO_PATCH_SITE_SHIFT | VMT_EXEC_TAG);
	put_jump_far(writer, entry);
	put(writer, &exit, sizeof(exit));
	vmt_go_patch_exits[told] = vmt_go_patch_bypasses[told] = (uint64_t)writer->at;
	put_byte(writer, 0xb8);
	put_number(writer, SYS_execve);
	put(writer, make, sizeof(make));
	put_or(writer, failed << VMT_GO_PATCH_SITE_SHIFT | VMT_EXEC_TAG | VMT_EXEC_FAILED);
	put_jump_far(writer, entry);
	vmt_go_patch_exits[failed] = exit;
	vmt_go_patch_bypasses[failed] = (uint64_t)writer->at;
	put_byte(writer, 0x25);
	put_number(writer, VMT_EXEC_ERROR);
	put(writer, negate, sizeof(negate));
	put_jump(writer, (uint64_t)writer->at, exit);
}

/* cmp $number,%eax; je: its distance is set later. */
static unsigned char *
put_test(struct writer *writer, uint32_t number)
{
	put_byte(writer, 0x3d);
	put_number(writer, number);
	put_byte(writer, 0x74);
	put_byte(writer, 0);
	return writer->at - 1;
}

static void
lead_here(const struct writer *writer, unsigned char *distance)
{
	vmt_assert(writer->at - distance - 1 <= INT8_MAX);
	*distance = (unsigned char)(writer->at - distance - 1);
}

/* Goes to the entry for the numbers that are wanted, back to the syscall for the others. A thread
 * that may stand in a stub of ours for long is not wanted in a program that is left again. */
static void
put_choice(struct writer *writer, uint32_t index, const void *entry, uint64_t system_call)
{
	const uint32_t count = sizeof(wanted_numbers) / sizeof(wanted_numbers[0]);
	unsigned char *hits[sizeof(wanted_numbers) / sizeof(wanted_numbers[0])];
	unsigned char *exec = NULL;

	for (uint32_t i = 0; i < count; i++)
		hits[i] = put_test(writer, wanted_numbers[i]);
	if (!vmt_go_patch_left.wanted)
		exec = put_test(writer, SYS_execve);
	put_jump(writer, (uint64_t)writer->at, system_call);
	for (uint32_t i = 0; i < count; i++)
		lead_here(writer, hits[i]);
	put_or(writer, index << VMT_GO_PATCH_SITE_SHIFT);
	put_jump_far(writer, entry);
	if (exec) {
		lead_here(writer, exec);
		put_exec(writer, index, entry, system_call + SYSCALL_BYTES);
	}
}

static void
write_stub(struct patcher *patcher, const struct form *form, uint32_t index, uint64_t function)
{
	static const unsigned char low_half[] = {0x0f, 0xb7, 0xc0}; /* movzwl %ax,%eax */
	struct vmt_go_patch_place *patch = &patcher->patches[patcher->count];
	unsigned char *stub = patcher->stubs + (uint64_t)patcher->count++ * STUB_BYTES;
	uint64_t system_call = syscall_of(form, function);
	struct writer writer = {stub};

	vmt_assert(patcher->stubs != NULL && patcher->count <= VMT_GO_SITES);
	vmt_assert(patcher->count * STUB_BYTES <= vmt_page_bytes);
	if (form->number == IN_EAX) {
		put(&writer, form->bytes + form->cut, form->cut_bytes);
		put_choice(&writer, index, patcher->entry, system_call);
	} else {
		put_byte(&writer, 0xb8); /* mov $...,%eax */
		put_number(&writer, index << VMT_GO_PATCH_SITE_SHIFT | form->number);
		put_jump_far(&writer, patcher->entry);
	}
	vmt_go_patch_bypasses[index] = (uint64_t)writer.at;
	put(&writer, low_half, sizeof(low_half));
	put_jump(&writer, (uint64_t)writer.at, system_call);
	vmt_assert(writer.at <= stub + STUB_BYTES);
	vmt_go_patch_exits[index] = system_call + SYSCALL_BYTES;
	*patch = (struct vmt_go_patch_place){function + form->cut, (uint64_t)stub, form->cut_bytes};
}

/* NULL: its bytes are not known. */
static const struct form *
find_form(enum vmt_go_function function, const struct vmt_go_code *code, uint64_t bias)
{
	for (uint32_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].function == function && code->bytes >= forms[i].bytes_count &&
		    memcmp((const void *)(code->address + bias), forms[i].bytes,
			   forms[i].bytes_count) == 0)
			return &forms[i];
	return NULL;
}

/* Somebody else writes it while others run, or is killed meanwhile: two pages are not written at
 * once. */
static bool
is_divided(const struct form *form, uint64_t function)
{
	uint64_t first = function + form->cut;

	return vmt_go_patch_left.wanted &&
	       vmt_pages_down(first, vmt_page_bytes) !=
		   vmt_pages_down(first + JUMP_BYTES - 1, vmt_page_bytes);
}

/* The function at its place, which has a known form. */
static void
plan_form(struct patcher *patcher, const struct form *form, const struct vmt_go_code *code)
{
	const char *why = patcher->refusal ? patcher->refusal : "";
	uint64_t function = code->address + patcher->bias;
	uint32_t index = patcher->go->sites_count;
	bool fits = patcher->stubs && !is_divided(form, function);

	if (!patcher->refusal && !patcher->stubs)
		why = "no free address space near the program's text";
	if (patcher->stubs && !fits)
		why = "the bytes to be replaced lie in two pages";
	if (note(patcher, code->name, syscall_of(form, function), why) && fits)
		write_stub(patcher, form, index, function);
}

static void
plan_function(struct patcher *patcher, enum vmt_go_function function)
{
	const struct vmt_go_code *codes = patcher->image->code[function];

	for (uint32_t i = 0; i < VMT_GO_CANDIDATES && codes[i].address != 0; i++) {
		const struct form *form = find_form(function, &codes[i], patcher->bias);

		if (form) {
			plan_form(patcher, form, &codes[i]);
			return;
		}
	}
	if (codes[0].address != 0)
		note(patcher, codes[0].name, 0,
		     patcher->refusal ? patcher->refusal : "unknown instructions");
	else if (function == VMT_GO_MADVISE || function == VMT_GO_SYSCALL)
		note(patcher, function == VMT_GO_MADVISE ? "runtime.madvise" : "Syscall6", 0,
		     "not found");
}

static bool
protect(const struct vmt_go_patch_place *patch, int protection)
{
	uint64_t low = patch->address & ~(vmt_page_bytes - 1);
	uint64_t high =
	    (patch->address + patch->bytes + vmt_page_bytes - 1) & ~(vmt_page_bytes - 1);

	return vmt_sys_call3(SYS_mprotect, low, high - low, protection) == 0;
}

/* memory: /proc/self/mem, or a negative errno. Written through it, text is never writable and its
 * mapping stays in one piece; profilers take each piece for a module of its own. */
static bool
write_text(const struct vmt_go_patch_place *patch, const void *bytes, int memory)
{
	if (vmt_sys_call4(SYS_pwrite64, memory, bytes, patch->bytes, patch->address) ==
	    (long)patch->bytes)
		return true;
	if (!protect(patch, PROT_READ | PROT_WRITE))
		return false;
	memcpy((void *)patch->address, bytes, patch->bytes);
	return protect(patch, PROT_READ | PROT_EXEC);
}

static bool
write_patch(const struct vmt_go_patch_place *patch, int memory)
{
	struct vmt_go_patch_left *left = &vmt_go_patch_left;
	unsigned char bytes[] = {0, 0, 0, 0, 0, 0xcc, 0xcc, 0xcc, 0xcc};
	struct writer writer = {bytes};

	vmt_assert(patch->bytes >= JUMP_BYTES && patch->bytes <= sizeof(bytes));
	if (left->wanted && left->count < VMT_GO_SITES)
		left->places[left->count++] = *patch;
	if (left->wanted)
		return true;
	put_jump(&writer, patch->address, patch->stub);
	return write_text(patch, bytes, memory);
}

static void
write_patches(struct patcher *patcher, uint32_t first_site)
{
	int memory = vmt_sys_open("/proc/self/mem", O_WRONLY, 0);
	bool allowed =
	    vmt_sys_call3(SYS_mprotect, patcher->stubs, vmt_page_bytes, PROT_READ | PROT_EXEC) == 0;
	uint32_t done = 0;

	for (uint32_t i = first_site; i < patcher->go->sites_count; i++) {
		struct vmt_go_site *site = &patcher->go->sites[i];

		if (site->why[0] != '\0')
			continue;
		if (allowed && write_patch(&patcher->patches[done++], memory))
			site->patched = 1;
		else
			copy_text(site->why, sizeof(site->why),
				  "the kernel forbids changing program text");
	}
	if (memory >= 0)
		vmt_sys_close(memory);
}

void
vmt_go_patch_image(struct vmt_go *go, const struct vmt_go_image *image, uint64_t bias,
		   const void *entry, const char *refusal)
{
	struct patcher patcher = {
	    .go = go, .image = image, .bias = bias, .entry = entry, .refusal = refusal};
	uint32_t first_site = go->sites_count;

	if (!refusal)
		patcher.stubs = map_near(image->text_low + bias, image->text_high + bias);
	for (uint32_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		plan_function(&patcher, functions[i]);
	if (patcher.stubs)
		write_patches(&patcher, first_site);
}

#else

void
vmt_go_patch_image(struct vmt_go *go, const struct vmt_go_image *image, uint64_t bias,
		   const void *entry, const char *refusal)
{
	(void)go;
	(void)image;
	(void)bias;
	(void)entry;
	(void)refusal;
}

#endif
