#include "preload/libc/program_identity.h"

#include "base/sys.h"
#include "capture/core/config.h"
#include "format/command.h"
#include "format/head.h"

#include <errno.h>

#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

static size_t
align_up(size_t bytes, size_t alignment)
{
	return (bytes + alignment - 1) & ~(alignment - 1);
}

bool
vmt_program_identity_has_note(const void *notes, size_t bytes, size_t alignment)
{
	static const struct vmt_command_note wanted = VMT_COMMAND_NOTE;
	const unsigned char *at = notes;

	while (bytes >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		size_t length;

		memcpy(&note, at, sizeof(note));
		length = align_up(sizeof(note) + (size_t)note.n_namesz, alignment);
		length = align_up(length + note.n_descsz, alignment);
		if (bytes >= sizeof(wanted) && memcmp(at, &wanted, sizeof(wanted)) == 0)
			return true;
		if (length >= bytes)
			return false;
		at += length;
		bytes -= length;
	}
	return false;
}

/* The main program is the first that the loader tells of. */
static int
visit(struct dl_phdr_info *info, size_t size, void *found)
{
	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_NOTE &&
		    vmt_program_identity_has_note((const void *)(info->dlpi_addr + header->p_vaddr),
						  header->p_memsz, header->p_align == 8 ? 8 : 4))
			*(bool *)found = true;
	}
	return 1;
}

bool
vmt_program_identity_is_valgrinds(void)
{
	/* RUNNING_ON_VALGRIND, 0x1001: the answer is how deep valgrinds are nested. */
	volatile uint64_t request[6] = {0x1001, 0, 0, 0, 0, 0};
	uint64_t answer = 0;

#if defined(__x86_64__)
	__asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(answer)
			 : "a"(&request[0])
			 : "cc", "memory");
#elif defined(__aarch64__)
	register uint64_t x3 __asm__("x3") = 0;
	register volatile uint64_t *x4 __asm__("x4") = request;

	__asm__ volatile("ror x12, x12, #3; ror x12, x12, #13; ror x12, x12, #51; ror x12, x12, "
			 "#61\n\torr x10, x10, x10"
			 : "+r"(x3)
			 : "r"(x4)
			 : "cc", "memory");
	answer = x3;
#endif
	return answer != 0;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool
is_named(const char *globs, const char *path)
{
	return vmt_config_matches(globs, base_name(path));
}

const char *
vmt_program_identity_name(void)
{
	const char *executed = (const char *)getauxval(AT_EXECFN);

	return executed ? base_name(executed) : "";
}

bool
vmt_program_identity_is_named(const char *globs)
{
	char path[VMT_EXE_BYTES];
	long length =
	    vmt_sys_call4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof(path) - 1);
	const char *executed = (const char *)getauxval(AT_EXECFN);

	path[length > 0 ? length : 0] = '\0';
	return is_named(globs, path) || (executed && is_named(globs, executed)) ||
	       (program_invocation_name && is_named(globs, program_invocation_name));
}

bool
vmt_program_identity_is_command(void)
{
	bool found = false;

	dl_iterate_phdr(visit, &found);
	return found;
}
