#include "inject/attach_images.h"

#include "base/pages.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "inject/cut_search.h"
#include "inject/cuts_in_use.h"
#include "inject/file_view.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PATH_BYTES 4096u

struct search {
	struct vmt_attach_images *images;
	const struct vmt_target *target;
	uint64_t program; /* address of its ELF header */
	uint64_t
	    start; /* of the last file that is mapped from its beginning; 0: it was looked at */
	uint64_t inode; /* its */
	int result;
};

static bool
begins_with(struct vmt_text name, const char *start)
{
	size_t bytes = vmt_text_string_bytes(start);

	return vmt_text_length(&name) >= bytes && memcmp(name.at, start, bytes) == 0;
}

static struct vmt_text
last_part(const struct vmt_mapping *mapping)
{
	struct vmt_text name = vmt_text_of(mapping->path, mapping->path_bytes);

	for (const char *at = name.at; at < name.end; at++)
		if (*at == '/')
			name.at = at + 1;
	return name;
}

static bool
is_library_of_c(const struct vmt_mapping *mapping)
{
	struct vmt_text name = last_part(mapping);

	return begins_with(name, "libc.so") || begins_with(name, "libc-") ||
	       begins_with(name, "libc.musl-") || begins_with(name, "ld-linux-") ||
	       begins_with(name, "ld-musl-") || begins_with(name, "ld-2.");
}

/* The place of a file, which is not opened by that: a device may act on it. */
static int
find_below(const struct search *search, const char *name, const struct vmt_mapping *mapping)
{
	char path[PATH_BYTES + 64];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));

	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, (uint64_t)search->target->pid);
	vmt_text_put(&out, name);
	if (mapping)
		vmt_text_put_bytes(&out, mapping->path, mapping->path_bytes);
	return out.overflow ? -ENAMETOOLONG : vmt_sys_open(path, O_PATH, 0);
}

static int
open_place(int place)
{
	char path[32];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));

	vmt_text_put(&out, "/proc/self/fd/");
	vmt_text_put_decimal(&out, (uint64_t)place);
	return vmt_sys_open(path, O_RDONLY | O_NONBLOCK, 0);
}

/* Of glibc its malloc is not in use once the C library is there. */
static bool
is_loader_of_glibc(const struct vmt_mapping *mapping)
{
	struct vmt_text name = last_part(mapping);

	return begins_with(name, "ld-linux-") || begins_with(name, "ld-2.");
}

/* Whose operator new makes what their malloc makes. Not debugging ones: these tell them apart. */
static bool
has_operators_of_its_malloc(const struct vmt_mapping *mapping)
{
	struct vmt_text name = last_part(mapping);

	return begins_with(name, "libjemalloc.so") || begins_with(name, "libtcmalloc.so") ||
	       begins_with(name, "libtcmalloc_minimal.so") ||
	       begins_with(name, "libtcmalloc_and_profiler.so") ||
	       begins_with(name, "libmimalloc.so");
}

/* They walk the stack of who calls their malloc, and print it. */
static bool
is_of_sanitizer(const struct vmt_mapping *mapping)
{
	struct vmt_text name = last_part(mapping);

	return begins_with(name, "libasan.") || begins_with(name, "libtsan.") ||
	       begins_with(name, "liblsan.") || begins_with(name, "libhwasan.") ||
	       begins_with(name, "libclang_rt.");
}

/* The file that is mapped, as the process sees it; negative: another has its name by now, or it is
 * no regular file. */
static int
open_mapped(const struct search *search, const struct vmt_mapping *mapping)
{
	bool is_program = mapping->start == search->program;
	struct stat status;
	int place =
	    is_program ? find_below(search, "/exe", NULL) : find_below(search, "/root", mapping);
	int fd = -1;

	if (place < 0)
		return place;
	if (vmt_sys_call2(SYS_fstat, place, &status) == 0 && S_ISREG(status.st_mode) &&
	    (is_program || status.st_ino == mapping->inode))
		fd = open_place(place);
	vmt_sys_close(place);
	return fd;
}

/* As the symbols of its file say. */
static bool
is_allocator(int fd)
{
	struct vmt_file file = vmt_file_view_open(fd, VMT_CUT_SEARCH_FILE_BYTES);
	bool is_one = file.length != 0 && vmt_heap_hooks_is_allocator(&file);

	vmt_file_view_close(&file);
	return is_one;
}

/* -errno: nothing can be done with the program. 0: it is one more, or none. */
static int
take(struct search *search, const struct vmt_mapping *mapping, int file)
{
	struct vmt_attach_images *images = search->images;
	struct vmt_program_cuts *cuts = &images->cuts[images->count];
	struct vmt_cut_search how = {.target = search->target,
				     .program_headers = mapping->start + sizeof(Elf64_Ehdr),
				     .file = file,
				     .owns_operators = has_operators_of_its_malloc(mapping)};
	int result = vmt_cut_search_run(cuts, &how);

	if (result == 0) {
		if (!images->wants_heap || is_loader_of_glibc(mapping) || is_of_sanitizer(mapping))
			cuts->heap = (struct vmt_heap_hooks){.count = 0};
		images->count++;
		return 0;
	}
	vmt_program_cuts_close(cuts);
	/* A library that is built in a way of its own is left alone. */
	return mapping->start == search->program ? result : 0;
}

/* A file that is mapped as code from its beginning on. */
static void
look_at(struct search *search, const struct vmt_mapping *mapping)
{
	struct vmt_attach_images *images = search->images;
	bool is_known = mapping->start == search->program || is_library_of_c(mapping);
	int file;

	if (!is_known && !images->wants_heap)
		return;
	file = open_mapped(search, mapping);
	if (is_known || is_allocator(file))
		search->result = take(search, mapping, file);
	if (file >= 0)
		vmt_sys_close(file);
}

/* What is mapped as data alone is no code, and is not opened: it may be large, or a device. */
static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;
	struct vmt_attach_images *images = search->images;
	struct vmt_mapping whole = *mapping;

	if (mapping->path_bytes == 0 || mapping->path[0] != '/')
		return true;
	if (mapping->file_offset == 0) {
		search->start = mapping->start;
		search->inode = mapping->inode;
	}
	if (search->start == 0 || search->inode != mapping->inode ||
	    !(mapping->protection & PROT_EXEC))
		return true;
	whole.start = search->start;
	search->start = 0;
	if (images->count == VMT_ATTACH_IMAGES)
		return false;
	if (images->must_stop && images->must_stop())
		search->result = -EINTR;
	else
		look_at(search, &whole);
	return search->result == 0;
}

int
vmt_attach_images_find(struct vmt_attach_images *images, const struct vmt_target *target,
		       uint64_t program_headers)
{
	struct search search = {
	    .images = images, .target = target, .program = program_headers - sizeof(Elf64_Ehdr)};
	static char buffer[VMT_PROCFS_LINE_BYTES];
	int fd = vmt_procfs_open((uint32_t)target->pid, "maps");
	int result = fd;

	images->count = 0;
	if (fd < 0)
		return result;
	result = vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit, &search);
	vmt_sys_close(fd);
	return search.result < 0 ? search.result : result;
}

size_t
vmt_attach_images_possible(const struct vmt_attach_images *images)
{
	size_t possible = 0;

	for (uint32_t i = 0; i < images->count; i++)
		possible += vmt_program_cuts_possible(&images->cuts[i]);
	return possible;
}

uint32_t
vmt_attach_images_led(const struct vmt_attach_images *images)
{
	uint32_t led = 0;

	for (uint32_t i = 0; i < images->count; i++)
		led += images->cuts[i].heap.led;
	return led;
}

uint32_t
vmt_attach_images_unled(const struct vmt_attach_images *images, uint64_t *first, const char **why)
{
	uint32_t unled = 0;

	*first = 0;
	*why = NULL;
	for (uint32_t i = 0; i < images->count; i++) {
		const struct vmt_heap_hooks *heap = &images->cuts[i].heap;

		unled += vmt_heap_hooks_unled(heap);
		if (*first == 0 && heap->unled_at != 0) {
			*first = heap->unled_at;
			*why = heap->unled_why;
		}
	}
	return unled;
}

void
vmt_attach_images_set_handlers(struct vmt_attach_images *images, uint64_t base,
			       const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT])
{
	for (uint32_t i = 0; i < images->count; i++)
		for (uint32_t j = 0; j < VMT_HEAP_ENTRIES_COUNT; j++)
			images->cuts[i].handlers[j] = base + handlers[j];
}

bool
vmt_attach_images_have_place(struct vmt_attach_images *images, const struct vmt_target *target)
{
	for (uint32_t i = 0; i < images->count; i++)
		if (vmt_program_cuts_have_place(&images->cuts[i], target))
			return true;
	return false;
}

int
vmt_attach_images_check(struct vmt_attach_images *images, const struct vmt_target *target,
			const struct vmt_stopped_threads *threads, bool leave)
{
	return vmt_cuts_in_use_check(images->cuts, images->count, target, threads, leave);
}

void
vmt_attach_images_describe(const struct vmt_attach_images *images,
			   struct vmt_blob_parameters *parameters)
{
	const char *why;

	parameters->heap_functions = vmt_attach_images_led(images);
	parameters->heap_unseen =
	    vmt_attach_images_unled(images, &parameters->heap_unseen_at, &why);
	for (uint32_t i = 0; i < images->count; i++) {
		const struct vmt_program_cuts *cuts = &images->cuts[i];
		uint64_t first;

		parameters->heap_is_glibc |= cuts->heap.is_glibc;
		parameters->calls_unseen += (uint32_t)vmt_program_cuts_impossible(cuts, &first);
		parameters->hides_alternates |= vmt_program_cuts_hide_alternates(cuts);
		if (parameters->calls_unseen_at == 0)
			parameters->calls_unseen_at = first;
		if (cuts->stubs != 0)
			parameters->stubs[i] =
			    (struct vmt_blob_range){cuts->stubs, cuts->stubs_bytes};
		if (cuts->index == 0 || parameters->frame_index != 0)
			continue;
		parameters->frame_index = cuts->index;
		parameters->frame_index_bytes = vmt_frame_index_bytes(&cuts->frames);
		parameters->frames_low = cuts->frames.frames_low;
		parameters->frames_high = cuts->frames.frames_high;
	}
}

int
vmt_attach_images_map(struct vmt_attach_images *images, struct vmt_remote *remote, uint64_t entry)
{
	images->calls_left = 0;
	for (uint32_t i = 0; i < images->count; i++) {
		int result = vmt_program_cuts_map(&images->cuts[i], remote, entry);

		if (result == -ENOSPC)
			images->calls_left += vmt_program_cuts_leave(&images->cuts[i]);
		else if (result < 0)
			return result;
	}
	return images->calls_left != 0 && vmt_attach_images_possible(images) == 0 ? -ENOSPC : 0;
}

void
vmt_attach_images_unmap(struct vmt_attach_images *images, struct vmt_remote *remote)
{
	for (uint32_t i = 0; i < images->count; i++)
		vmt_program_cuts_unmap(&images->cuts[i], remote);
}

int
vmt_attach_images_make(const struct vmt_attach_images *images, const struct vmt_target *target)
{
	for (uint32_t i = 0; i < images->count; i++) {
		int result = vmt_program_cuts_make(&images->cuts[i], target);

		if (result == 0)
			continue;
		while (i-- > 0)
			(void)vmt_program_cuts_undo(&images->cuts[i], target);
		return result;
	}
	return 0;
}

int
vmt_attach_images_undo(const struct vmt_attach_images *images, const struct vmt_target *target)
{
	int first = 0;

	for (uint32_t i = 0; i < images->count; i++) {
		int result = vmt_program_cuts_undo_jumps(&images->cuts[i], target);

		if (first == 0)
			first = result;
	}
	return first;
}

int
vmt_attach_images_undo_veneers(const struct vmt_attach_images *images,
			       const struct vmt_target *target)
{
	int first = 0;

	for (uint32_t i = 0; i < images->count; i++) {
		int result = vmt_program_cuts_undo_veneers(&images->cuts[i], target);

		if (first == 0)
			first = result;
	}
	return first;
}

void
vmt_attach_images_close(struct vmt_attach_images *images)
{
	for (uint32_t i = 0; i < images->count; i++)
		vmt_program_cuts_close(&images->cuts[i]);
	images->count = 0;
}
