#include "capture/go/go_runtime.h"

#include "base/pages.h"
#include "base/roomy.h"
#include "base/sys.h"
#include "capture/go/go_patch.h"
#include "capture/go/go_stack.h"
#include "format/go_offsets.h"
#include "unwind/go_functions.h"
#include "unwind/go_image.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define NOTE_NAME "Go\0" /* with its own NUL and one for padding */
#define NOTE_BUILD_ID 4u
#define SELF "/proc/self/exe"
#define FILE_MAX_BYTES (UINT64_C(4) << 30)

static struct vmt_go table;
static struct vmt_go_code_roles roles; /* of the first runtime */

struct search {
	bool wanted;
	bool profile;
	const void *entry;
};

/* Whether one of the notes at [at, at + bytes) is the Go linker's. */
static bool
has_go_note(const unsigned char *at, uint64_t bytes)
{
	while (bytes >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		uint64_t end;

		memcpy(&note, at, sizeof(note));
		end = sizeof(note) + (((uint64_t)note.n_namesz + 3) & ~UINT64_C(3)) +
		      (((uint64_t)note.n_descsz + 3) & ~UINT64_C(3));
		if (end > bytes)
			return false;
		if (note.n_type == NOTE_BUILD_ID && note.n_namesz == 4 &&
		    memcmp(at + sizeof(note), NOTE_NAME, 4) == 0)
			return true;
		at += end;
		bytes -= end;
	}
	return false;
}

/* What the Go linker leaves out on wish (-buildid=). */
static bool
has_note(const struct dl_phdr_info *info)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_NOTE && header->p_align != 8 &&
		    has_go_note((const unsigned char *)(info->dlpi_addr + header->p_vaddr),
				header->p_memsz))
			return true;
	}
	return false;
}

/* Maps a whole file, writable for this process alone: see try_rewriting. What else lies in its
 * place by now, as a FIFO, has no length, and is not waited for. */
static bool
map_file(const char *path, struct vmt_go_file *file)
{
	int fd = vmt_sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	long length;
	void *bytes;

	if (fd < 0)
		return false;
	length = vmt_sys_call3(SYS_lseek, fd, 0, SEEK_END);
	if (length <= 0 || (uint64_t)length > FILE_MAX_BYTES) {
		vmt_sys_close(fd);
		return false;
	}
	bytes = vmt_sys_mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_NORESERVE, fd, 0);
	vmt_sys_close(fd);
	if (vmt_sys_failed(bytes))
		return false;
	*file = (struct vmt_go_file){bytes, (uint64_t)length};
	return true;
}

/* The file under the module's name may be another one by now. */
static bool
is_loaded_file(const struct vmt_go_file *file, const struct dl_phdr_info *info)
{
	const ElfW(Ehdr) *header = vmt_go_image_at(file, 0, sizeof(*header));
	uint64_t bytes = info->dlpi_phnum * sizeof(ElfW(Phdr));
	const void *headers = header && header->e_phnum == info->dlpi_phnum
				  ? vmt_go_image_at(file, header->e_phoff, bytes)
				  : NULL;

	return headers && memcmp(headers, info->dlpi_phdr, bytes) == 0;
}

/* Whether it may be Go's though it has no such note: Go's linker puts its mark first in what can be
 * written, or the C linker was asked, whose programs of Go have variables of a thread. */
static bool
may_be_go(const struct dl_phdr_info *info)
{
	const ElfW(Phdr) *written = NULL;

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_TLS)
			return true;
		if (header->p_type == PT_LOAD && header->p_flags & PF_W && !written)
			written = header;
	}
	return written && vmt_go_image_is_mark((const void *)(info->dlpi_addr + written->p_vaddr),
					       written->p_filesz);
}

extern const char image_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));

/* The same of a library, which the C linker makes: the runtime's one variable of a thread begins
 * as 0. Few libraries have none that begins as something else; this one is known. */
static bool
may_be_go_library(const struct dl_phdr_info *info)
{
	if (info->dlpi_addr == (uintptr_t)image_begin)
		return false;
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			return info->dlpi_phdr[i].p_filesz == 0;
	return false;
}

static bool
is_go(const struct dl_phdr_info *info)
{
	bool is_library = info->dlpi_name && info->dlpi_name[0] != '\0';
	struct vmt_go_file file;
	bool result;

	if (has_note(info))
		return true;
	if (!(is_library ? may_be_go_library(info) : may_be_go(info)) ||
	    !map_file(is_library ? info->dlpi_name : SELF, &file))
		return false;
	result = is_loaded_file(&file, info) && vmt_go_image_is_go(&file);
	vmt_sys_munmap((void *)(uintptr_t)file.bytes, file.length);
	return result;
}

/* Whether the kernel lets a page of the file be changed and executed after: some security modules
 * do not, and would not give back a page of text that was changed. */
static bool
try_rewriting(const struct vmt_go_file *file)
{
	unsigned char *page = (unsigned char *)(uintptr_t)file->bytes;
	volatile unsigned char *byte = page;

	*byte = ELFMAG0; /* as it is */
	return vmt_sys_call3(SYS_mprotect, page, vmt_page_bytes, PROT_READ | PROT_EXEC) == 0 &&
	       vmt_sys_call3(SYS_mprotect, page, vmt_page_bytes, PROT_READ) == 0;
}

/* Links of /proc/self/task: ".", "..", and one a thread. */
static bool
is_single_threaded(void)
{
	struct stat status = {.st_nlink = 0};

	return vmt_sys_call4(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &status, 0) == 0 &&
	       status.st_nlink == 3;
}

/* Whether nothing that this code does takes a C library. */
static bool
is_alone(void)
{
#if defined(VMT_THREAD_ON_STACK)
	return true;
#else
	return false;
#endif
}

/* Why the text is to be left alone, or NULL. */
static const char *
find_refusal(const struct search *search, const struct vmt_go_image *image,
	     const struct vmt_go_file *file)
{
	if (!search->wanted)
		return "VMTRACE_GO=off";
	if (!image->cgo && !is_alone())
		return "no runtime/cgo: threads the C library does not know";
	if (!vmt_go_patch_left.wanted && !is_single_threaded())
		return "there were other threads already";
	if (!try_rewriting(file))
		return "the kernel forbids changing program text";
	return NULL;
}

static void
add_objects(const struct vmt_go_image *image, uint64_t bias)
{
	for (uint32_t i = 0; i < image->objects_count; i++) {
		if (table.objects_count == VMT_GO_OBJECTS)
			return;
		table.objects[table.objects_count] = image->objects[i];
		table.objects[table.objects_count++].address += bias;
	}
}

static void
add_runtime(const struct vmt_go_image *image, uint64_t bias)
{
	const struct vmt_go_code *code = image->code[VMT_GO_SYSTEMSTACK];
	const struct vmt_go_code *more = image->code[VMT_GO_MORESTACK];
	uint64_t low = image->text_low + bias;
	uint64_t high = image->text_high + bias;

	for (uint32_t i = 0; i < VMT_GO_CANDIDATES && code[i].address != 0; i++) {
		if (!vmt_go_stack_add(low, high, (const unsigned char *)(code[i].address + bias),
				      code[i].bytes))
			continue;
		/* The one without arguments: it has no wrapper. */
		if (more[0].address != 0)
			vmt_go_stack_add_growing(more[0].address + bias, more[0].bytes);
		if (!image->cgo)
			vmt_go_stack_add_threads();
		return;
	}
	vmt_go_stack_add_text(low, high);
}

/* Before the runtime starts. The linker has set the byte, and nothing sets it again. */
static void
turn_on_profile(const struct search *search, const struct vmt_go_image *image, uint64_t bias)
{
	unsigned char *disabled = (unsigned char *)(uintptr_t)(image->profile_disabled + bias);

	if (!search->profile || image->profile_disabled == 0 ||
	    !vmt_go_offsets_of(image->version) || *disabled != 1)
		return;
	*disabled = 0;
	table.flags |= VMT_GO_PROFILE_ON;
}

/* The table describes the first runtime; further ones add sites and objects. */
static void
take(const struct search *search, const struct vmt_go_image *image, uint64_t bias, bool is_plugin,
     const char *refusal)
{
	if (table.version[0] == '\0') {
		memcpy(table.version, image->version, sizeof(table.version));
		table.flags = (image->cgo ? VMT_GO_CGO : 0) |
			      (image->stripped ? VMT_GO_STRIPPED : 0) |
			      (search->wanted ? 0 : VMT_GO_OFF) |
			      (image->code[VMT_GO_RACE_ENTER][0].address ? VMT_GO_RACE : 0);
		if (image->text_low != 0) {
			table.text_low = image->text_low + bias;
			table.text_high = image->text_high + bias;
		}
	} else if (!is_plugin) {
		table.flags |= VMT_GO_SEVERAL;
	}
	add_objects(image, bias);
	if ((image->cgo || is_alone()) && image->text_low != 0)
		add_runtime(image, bias);
	vmt_go_patch_image(&table, image, bias, search->entry, refusal);
}

static void
take_roles(const struct vmt_go_file *file, uint64_t bias)
{
	vmt_go_functions_tell(&roles, file);
	if (roles.text != 0)
		roles.text += bias;
}

static int
visit(struct dl_phdr_info *info, size_t size, void *context)
{
	static VMT_ROOMY struct vmt_go_image image;
	const struct search *search = context;
	const char *path = info->dlpi_name;
	struct vmt_go_file file;
	const char *why = "the file cannot be read";
	bool is_plugin = false;

	(void)size;
	if (!is_go(info))
		return 0;
	if (!path || path[0] == '\0')
		path = SELF;
	memset(&image, 0, sizeof(image));
	if (map_file(path, &file)) {
		why = is_loaded_file(&file, info) ? vmt_go_functions_read(&image, &file)
						  : "the file is not the one that is loaded";
		if (!why && table.version[0] == '\0')
			take_roles(&file, info->dlpi_addr);
		if (!why)
			why = find_refusal(search, &image, &file);
		is_plugin = table.version[0] != '\0' && vmt_go_image_is_plugin(&file);
		vmt_sys_munmap((void *)(uintptr_t)file.bytes, file.length);
	}
	if (image.version[0] == '\0')
		memcpy(image.version, "unknown", sizeof("unknown"));
	take(search, &image, info->dlpi_addr, is_plugin, why);
	turn_on_profile(search, &image, info->dlpi_addr);
	return 0;
}

bool
vmt_go_runtime_set_up(vmt_go_runtime_list *list, bool wanted, bool profile, const void *entry)
{
	struct search search = {wanted, profile, entry};

	list(visit, &search);
	for (uint32_t i = 0; i < table.sites_count; i++) {
		if (table.sites[i].patched)
			return true;
	}
	return false;
}

void
vmt_go_runtime_describe(struct vmt_head *head)
{
	head->go = table;
	head->go_roles = roles;
}
