#include "preload/trace/standalone_start.h"

#include "base/pages.h"
#include "base/sys.h"
#include "format/head.h"

#include <link.h>
#include <stdbool.h>
#include <sys/mman.h>

#if defined(__x86_64__)
#include <asm/prctl.h>
#define RELATIVE R_X86_64_RELATIVE
#define GLOBAL_DATA R_X86_64_GLOB_DAT
#define JUMP_SLOT R_X86_64_JUMP_SLOT
#define THREAD_OFFSET R_X86_64_TPOFF64
__asm__(".text\n"
	".globl vmt_standalone_entry\n"
	".hidden vmt_standalone_entry\n"
	".type vmt_standalone_entry, @function\n"
	"vmt_standalone_entry:\n"
	"	xorl %ebp, %ebp\n"
	"	movq %rsp, %rdi\n"
	"	andq $-16, %rsp\n"
	"	call vmt_standalone_begin\n"
	"	hlt\n"
	".size vmt_standalone_entry, . - vmt_standalone_entry\n");
#else
#define RELATIVE R_AARCH64_RELATIVE
#define GLOBAL_DATA R_AARCH64_GLOB_DAT
#define JUMP_SLOT R_AARCH64_JUMP_SLOT
#define THREAD_OFFSET R_AARCH64_TLS_TPREL
__asm__(".text\n"
	".globl vmt_standalone_entry\n"
	".hidden vmt_standalone_entry\n"
	".type vmt_standalone_entry, %function\n"
	"vmt_standalone_entry:\n"
	"	mov x29, xzr\n"
	"	mov x30, xzr\n"
	"	mov x0, sp\n"
	"	bl vmt_standalone_begin\n"
	"	brk #0\n"
	".size vmt_standalone_entry, . - vmt_standalone_entry\n");
#endif

#define EXIT_NO_SUCH_IMPORT 70
#define THREAD_AREA_WORDS 512u

/* The linker's names for this library's dynamic section and its first byte. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

__attribute__((used, visibility("hidden"))) _Noreturn void vmt_standalone_begin(long *stack);

static void *
copy_forward(void *to, const void *from, size_t bytes)
{
#if defined(__x86_64__)
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
#else
	unsigned char *at = to;
	const unsigned char *source = from;

	for (; bytes >= 8; bytes -= 8, at += 8, source += 8)
		__builtin_memcpy(at, source, 8);
	while (bytes-- > 0)
		*at++ = *source++;
#endif
	return to;
}

static void *
move(void *to, const void *from, size_t bytes)
{
	unsigned char *at = to;
	const unsigned char *source = from;

	if ((uintptr_t)to - (uintptr_t)from >= bytes)
		return copy_forward(to, from, bytes);
	while (bytes-- > 0)
		at[bytes] = source[bytes];
	return to;
}

static void *
fill(void *start, int value, size_t bytes)
{
#if defined(__x86_64__)
	void *at = start;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
#else
	unsigned char *at = start;

	while (bytes-- > 0)
		*at++ = (unsigned char)value;
#endif
	return start;
}

static uint64_t
word_at(const void *bytes)
{
	uint64_t word;

	__builtin_memcpy(&word, bytes, sizeof(word));
	return word;
}

static int
compare(const void *a, const void *b, size_t bytes)
{
	const unsigned char *left = a;
	const unsigned char *right = b;

	for (; bytes >= 8 && word_at(left) == word_at(right); bytes -= 8, left += 8, right += 8)
		;
	for (; bytes > 0; bytes--, left++, right++)
		if (*left != *right)
			return *left - *right;
	return 0;
}

static size_t
length_within(const char *text, size_t room)
{
	size_t bytes = 0;

	while (bytes < room && text[bytes])
		bytes++;
	return bytes;
}

static size_t
length(const char *text)
{
	return length_within(text, SIZE_MAX);
}

static int
compare_text(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return (unsigned char)*a - (unsigned char)*b;
}

static void *
find_byte(const void *start, int value, size_t bytes)
{
	const unsigned char *at = start;

	for (; bytes > 0; bytes--, at++)
		if (*at == (unsigned char)value)
			return (void *)(uintptr_t)at;
	return NULL;
}

static _Noreturn void
miss(void)
{
	for (;;)
		vmt_sys_call1(SYS_exit_group, EXIT_NO_SUCH_IMPORT);
}

/* What collect/ and format/ import. `make walls` reads this table. */
struct stand_in {
	char name[8];
	void *function;
};

static const struct stand_in stand_ins[] = {
    {"memcpy", copy_forward}, {"memmove", move},	  {"memset", fill},
    {"memcmp", compare},      {"memchr", find_byte},	  {"strlen", length},
    {"strcmp", compare_text}, {"strnlen", length_within},
};

/* NULL: there is none. */
static void *
find_stand_in(const char *wanted)
{
	for (size_t i = 0; i < sizeof(stand_ins) / sizeof(stand_ins[0]); i++) {
		size_t at = 0;

		while (at < sizeof(stand_ins[i].name) && wanted[at] &&
		       stand_ins[i].name[at] == wanted[at])
			at++;
		if (wanted[at] == '\0' &&
		    (at == sizeof(stand_ins[i].name) || !stand_ins[i].name[at]))
			return stand_ins[i].function;
	}
	return NULL;
}

struct tables {
	uintptr_t base;
	const ElfW(Rela) * relocations;
	size_t relocation_bytes;
	const ElfW(Rela) * jump_slots;
	size_t jump_slot_bytes;
	const ElfW(Sym) * symbols;
	const char *names;
};

/* Pointers of the dynamic section are offsets as long as no loader was here; some loaders leave
 * them so. The library lies higher than it is long. */
static const void *
place_of(uintptr_t base, uintptr_t value)
{
	return (const void *)(value < base ? base + value : value);
}

static bool
find_tables(struct tables *tables)
{
	uintptr_t base = tables->base = (uintptr_t)__ehdr_start;

	for (const ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
		if (entry->d_tag == DT_RELA)
			tables->relocations = place_of(base, entry->d_un.d_ptr);
		else if (entry->d_tag == DT_RELASZ)
			tables->relocation_bytes = entry->d_un.d_val;
		else if (entry->d_tag == DT_JMPREL)
			tables->jump_slots = place_of(base, entry->d_un.d_ptr);
		else if (entry->d_tag == DT_PLTRELSZ)
			tables->jump_slot_bytes = entry->d_un.d_val;
		else if (entry->d_tag == DT_SYMTAB)
			tables->symbols = place_of(base, entry->d_un.d_ptr);
		else if (entry->d_tag == DT_STRTAB)
			tables->names = place_of(base, entry->d_un.d_ptr);
	}
	return tables->relocations && tables->jump_slots && tables->symbols && tables->names;
}

static uintptr_t
address_of(const struct tables *tables, uint64_t index)
{
	const ElfW(Sym) *symbol = &tables->symbols[index];
	void *function;

	if (symbol->st_shndx != SHN_UNDEF)
		return tables->base + symbol->st_value;
	function = find_stand_in(tables->names + symbol->st_name);
	if (!function && ELF64_ST_BIND(symbol->st_info) != STB_WEAK)
		return (uintptr_t)miss;
	return (uintptr_t)function;
}

/* Where a thread-local variable lies beside the thread pointer: below it, in front of what the
 * psABI has there; on aarch64 above two words. All of them begin as zeros. */
static uintptr_t
thread_place(uintptr_t addend)
{
#if defined(__x86_64__)
	const ElfW(Ehdr) *header = (const void *)__ehdr_start;
	const ElfW(Phdr) *segment = (const void *)((uintptr_t)__ehdr_start + header->e_phoff);
	uintptr_t bytes = 0;

	for (int i = 0; i < header->e_phnum; i++, segment++)
		if (segment->p_type == PT_TLS)
			bytes = (segment->p_memsz + segment->p_align - 1) & ~(segment->p_align - 1);
	if (bytes > THREAD_AREA_WORDS / 2 * sizeof(uintptr_t))
		miss();
	return addend - bytes;
#else
	return addend + 2 * sizeof(uintptr_t);
#endif
}

/* Those of the imports in a pass of their own: the table of stand-ins is itself relocated. */
static void
relocate(const struct tables *tables, const ElfW(Rela) * at, size_t bytes, bool imports)
{
	for (; bytes >= sizeof(*at); bytes -= sizeof(*at), at++) {
		uintptr_t *place = (uintptr_t *)(tables->base + at->r_offset);
		uint64_t type = ELF64_R_TYPE(at->r_info);

		if (!imports && type == RELATIVE)
			*place = tables->base + (uintptr_t)at->r_addend;
		if (!imports && type == THREAD_OFFSET)
			*place = thread_place((uintptr_t)at->r_addend);
		if (imports && (type == GLOBAL_DATA || type == JUMP_SLOT))
			*place = address_of(tables, ELF64_R_SYM(at->r_info));
	}
}

/* Zeros on both sides of where the thread pointer points: a stack protector's word among them. */
static void
set_thread_area(void)
{
	static _Alignas(64) uintptr_t area[THREAD_AREA_WORDS];
	uintptr_t *middle = area + THREAD_AREA_WORDS / 2;

	*middle = (uintptr_t)middle;
#if defined(__x86_64__)
	vmt_sys_call2(SYS_arch_prctl, ARCH_SET_FS, middle);
#else
	__asm__ volatile("msr tpidr_el0, %0" : : "r"(middle));
#endif
}

/* Makes what a loader left readable alone writable again. */
static bool
open_relocations(void)
{
	uintptr_t base = (uintptr_t)__ehdr_start;
	const ElfW(Ehdr) *header = (const void *)__ehdr_start;
	const ElfW(Phdr) *segment = (const void *)(base + header->e_phoff);
	const uintptr_t page_mask = vmt_page_bytes - 1;

	for (int i = 0; i < header->e_phnum; i++, segment++) {
		uintptr_t start = (base + segment->p_vaddr) & ~page_mask;
		uintptr_t end = (base + segment->p_vaddr + segment->p_memsz) & ~page_mask;

		if (segment->p_type == PT_GNU_RELRO && start < end &&
		    vmt_sys_call3(SYS_mprotect, start, end - start, PROT_READ | PROT_WRITE) < 0)
			return false;
	}
	return true;
}

bool
vmt_standalone_rebind(void)
{
	struct tables tables = {0};

	if (!find_tables(&tables) || !open_relocations())
		return false;
	relocate(&tables, tables.relocations, tables.relocation_bytes, true);
	relocate(&tables, tables.jump_slots, tables.jump_slot_bytes, true);
	return true;
}

/* The kernel's vector stands behind the arguments and the environment. */
static void
take_page_size(const long *stack)
{
	const long *at = stack + 1 + stack[0] + 1;

	while (*at++ != 0)
		;
	for (; at[0] != AT_NULL; at += 2)
		if (at[0] == AT_PAGESZ)
			vmt_pages_set_size((uint64_t)at[1]);
}

void
vmt_standalone_begin(long *stack)
{
	struct tables tables = {0};

	if (!find_tables(&tables))
		miss();
	relocate(&tables, tables.relocations, tables.relocation_bytes, false);
	relocate(&tables, tables.relocations, tables.relocation_bytes, true);
	relocate(&tables, tables.jump_slots, tables.jump_slot_bytes, true);
	set_thread_area();
	take_page_size(stack);
	vmt_standalone_run((int)stack[0], (char *const *)(stack + 1));
}
