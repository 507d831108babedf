/*
 * The list of loaded modules: who looks, who reads, who notices and who unloads.
 * Over 500 lines: they wait for one another by one state.
 */
#include "capture/modules/modules.h"

#include "base/assert.h"
#include "base/elf_headers.h"
#include "base/roomy.h"
#include "base/sys.h"
#include "base/text.h"
#include "capture/core/guard.h"
#include "capture/core/robust_trylock.h"
#include "capture/emit/emit.h"
#include "capture/modules/module_list.h"
#include "capture/modules/module_path.h"
#include "format/module_table.h"

#include <link.h>
#include <sched.h>
#include <string.h>

#define DESCRIPTOR_BYTES (256u * 1024)
#define UNLOAD UINT64_C(0x100000000) /* one unload in `contents`; readers are the low half */
#define UNLOAD_WAIT_NS UINT64_C(2000000000)

_Static_assert(VMT_ELF_HEADERS_BUILD_ID_BYTES == VMT_BUILD_ID_MAX_BYTES, "ids are kept whole");

static VMT_ROOMY struct vmt_module_list
    fresh;		    /* the refresher's: what the look in progress has found */
static uint32_t refreshing; /* whose turn it is to change the list */
static uint32_t wanted;
static unsigned long long last_adds;
static unsigned long long last_subs;

/* Paths and build ids of all modules ever seen, for the traces of fork children. */
static VMT_ROOMY unsigned char descriptors[DESCRIPTOR_BYTES];
static uint64_t descriptors_used;

/* Readers of module contents (low half) and unloads under way (high half), in one word so that each
 * side sees the other's claim. */
static uint64_t contents;
static uint32_t closed; /* a reader did not come back: contents stay unreadable */

static int (*finder)(void *address, void *result);
static int (*lister)(vmt_modules_visit *visit, void *context);
static void (*change_handler)(void);
static void (*completer)(struct vmt_elf_headers *image);

static void
note_full(void)
{
	struct vmt_head *head = vmt_recording.head;

	if (head)
		vmt_atomic_or_relaxed(&head->notes, VMT_NOTE_MODULES_FULL);
}

bool
vmt_modules_find(uint64_t address, struct vmt_loaded_module *module)
{
	return vmt_atomic_load_acquire(&contents) < UNLOAD && vmt_module_list_find(address, module);
}

void
vmt_modules_set_finder(int (*find_object)(void *address, void *result))
{
	finder = find_object;
}

void
vmt_modules_set_lister(int (*list)(vmt_modules_visit *visit, void *context))
{
	lister = list;
}

void
vmt_modules_set_completer(void (*complete)(struct vmt_elf_headers *image))
{
	completer = complete;
}

void
vmt_modules_set_on_change(void (*on_change)(void))
{
	change_handler = on_change;
}

static void
tell_of_change(void)
{
	if (change_handler)
		change_handler();
}

bool
vmt_modules_has_finder(void)
{
	return finder != NULL;
}

/* What _dl_find_object fills in (dlfcn.h of glibc 2.35), with room to spare. */
struct found_object {
	unsigned long long flags;
	void *map_start;
	void *map_end;
	struct link_map *link_map;
	uint64_t reserved[16];
};

bool
vmt_modules_find_code(uint64_t address, struct vmt_loaded_module *module)
{
	struct found_object object;
	struct vmt_elf_headers image;

	if (!finder)
		return vmt_module_list_find(address, module);
	if (finder((void *)address, &object) != 0)
		return false;
	if (vmt_module_list_find(address, module) && module->low == (uint64_t)object.map_start &&
	    module->bias == object.link_map->l_addr && module->high >= (uint64_t)object.map_end)
		return true;
	if (!vmt_elf_headers_describe_mapped(object.link_map->l_addr, (uint64_t)object.map_start,
					     &image))
		return false;
	*module = (struct vmt_loaded_module){
	    .low = image.low,
	    .high = image.high,
	    .bias = image.bias,
	    .eh_frame_hdr = image.eh_frame_hdr,
	    .eh_frame_hdr_bytes = image.eh_frame_hdr_bytes,
	    .frames_low = image.frames_low,
	    .frames_high = image.frames_high,
	};
	return true;
}

bool
vmt_modules_begin_read(void)
{
	uint64_t seen = vmt_atomic_load_relaxed(&contents);

	do {
		if (seen >= UNLOAD)
			return false;
	} while (!vmt_atomic_cas(&contents, &seen, seen + 1));
	return true;
}

/* A fork child starts again at zero: what its parent's threads had begun never ends here. */
static void
subtract_contents(uint64_t amount, uint64_t mask)
{
	uint64_t seen = vmt_atomic_load_relaxed(&contents);

	while ((seen & mask) != 0 && !vmt_atomic_cas(&contents, &seen, seen - amount))
		;
}

void
vmt_modules_end_read(void)
{
	subtract_contents(1, UNLOAD - 1);
}

static void
add_unload(void)
{
	uint64_t seen = vmt_atomic_load_relaxed(&contents);

	while (!vmt_atomic_cas(&contents, &seen, seen + UNLOAD))
		;
}

static void
pause_a_little(unsigned round)
{
	struct timespec pause = {0, 1000000};

	if (!vmt_guard_syscalls_allowed())
		return;
	if (round < 64)
		vmt_sys_call0(SYS_sched_yield);
	else
		vmt_sys_call2(SYS_nanosleep, &pause, NULL);
}

void
vmt_modules_begin_unload(void)
{
	uint64_t limit_ns = 0;

	add_unload();
	if (vmt_atomic_load_relaxed(&closed))
		return;
	for (unsigned round = 0; (vmt_atomic_load_acquire(&contents) & (UNLOAD - 1)) != 0;
	     round++) {
		uint64_t now_ns = 0;

		pause_a_little(round);
		if (vmt_guard_syscalls_allowed())
			now_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
		else
			now_ns = (uint64_t)round * 10;
		if (limit_ns == 0)
			limit_ns = now_ns + UNLOAD_WAIT_NS;
		if (now_ns >= limit_ns) {
			vmt_atomic_store_relaxed(&closed, 1);
			add_unload(); /* never taken back */
			return;
		}
	}
}

void
vmt_modules_end_unload(void)
{
	tell_of_change();
	subtract_contents(UNLOAD, ~(UNLOAD - 1));
}

static void
emit(uint8_t kind, const struct vmt_module_entry *entry)
{
	struct vmt_map_event event = {
	    .kind = kind,
	    .time = kind == VMT_EVENT_MODULE_LOAD ? vmt_emit_time_after() : vmt_emit_time_before(),
	    .address = entry->low,
	    .length = entry->high - entry->low,
	    .argument_a = entry->bias,
	    .argument_b = entry->id,
	};

	vmt_assert(kind == VMT_EVENT_MODULE_LOAD || kind == VMT_EVENT_MODULE_UNLOAD);
	vmt_assert(entry->low < entry->high);
	vmt_emit_map(&event);
}

static uint64_t
intern_in_trace(const struct vmt_module *module)
{
	struct vmt_head *head = vmt_recording.head;

	if (!head)
		return 0;
	return vmt_module_table_intern((unsigned char *)head + head->modules_offset,
				       head->modules_bytes, &head->modules_used, module);
}

static void
describe(const char *name, const struct vmt_elf_headers *image, struct vmt_module_entry *entry)
{
	static VMT_ROOMY char path[VMT_MODULE_PATH_MAX_BYTES]; /* the one refresher's */
	struct vmt_module module = {
	    .path = path,
	    .path_bytes = vmt_module_path(name, path, sizeof(path)),
	    .build_id = image->build_id,
	    .build_id_bytes = image->build_id_bytes,
	    .low = entry->low,
	    .high = entry->high,
	    .bias = entry->bias,
	};

	entry->descriptor =
	    vmt_module_table_intern(descriptors, DESCRIPTOR_BYTES, &descriptors_used, &module);
	entry->id = intern_in_trace(&module);
	if (entry->descriptor == 0 || entry->id == 0)
		note_full();
}

/* FNV-1a. */
static uint64_t
hash(uint64_t state, const void *bytes, size_t length)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < length; i++)
		state = (state ^ at[i]) * UINT64_C(0x100000001b3);
	return state;
}

static uint64_t
key_of(const char *name, const struct vmt_elf_headers *image)
{
	uint64_t key = hash(UINT64_C(0xcbf29ce484222325), name, vmt_text_string_bytes(name) + 1);

	return hash(key, image->build_id, image->build_id_bytes);
}

/* The same module in the published list, or NULL. Only the refresher changes lists. */
static const struct vmt_module_entry *
known(const struct vmt_module_entry *entry)
{
	const struct vmt_module_entry *found = vmt_module_list_at(entry->low);

	if (found && found->high == entry->high && found->bias == entry->bias &&
	    found->key == entry->key)
		return found;
	return NULL;
}

static void
add_fresh(const char *name, const struct vmt_elf_headers *image)
{
	struct vmt_module_entry *entry = &fresh.entries[fresh.count];
	const struct vmt_module_entry *before;

	vmt_assert(fresh.count < VMT_MODULES_MAX);
	vmt_assert(image->low < image->high);
	*entry = (struct vmt_module_entry){
	    .low = image->low,
	    .high = image->high,
	    .bias = image->bias,
	    .eh_frame_hdr = image->eh_frame_hdr,
	    .eh_frame_hdr_bytes = image->eh_frame_hdr_bytes,
	    .frames_low = image->frames_low,
	    .frames_high = image->frames_high,
	    .key = key_of(name, image),
	};
	before = known(entry);
	if (before)
		*entry = *before;
	else
		describe(name, image, entry);
	fresh.count++;
}

/* Under the dynamic linker's lock. Non-zero ends the iteration: nothing has changed. */
static int
visit(struct dl_phdr_info *info, size_t size, void *changed)
{
	struct vmt_elf_headers image;
	bool counted = size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof(info->dlpi_subs);

	if (fresh.count == 0 && counted) {
		if (last_adds != 0 && info->dlpi_adds == last_adds && info->dlpi_subs == last_subs)
			return 1;
		last_adds = info->dlpi_adds;
		last_subs = info->dlpi_subs;
	}
	*(bool *)changed = true;
	if (!vmt_elf_headers_describe(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum, &image))
		return 0;
	if (completer)
		completer(&image);
	if (fresh.count == VMT_MODULES_MAX)
		note_full();
	else
		add_fresh(info->dlpi_name ? info->dlpi_name : "", &image);
	return 0;
}

static bool
same(const struct vmt_module_entry *a, const struct vmt_module_entry *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Both lists are sorted. Unloads go first: what has come may lie where something has gone. */
static void
emit_differences(const struct vmt_module_list *before)
{
	uint64_t at = 0;

	for (uint64_t i = 0; i < before->count; i++) {
		while (at < fresh.count && fresh.entries[at].low < before->entries[i].low)
			at++;
		if (at == fresh.count || !same(&fresh.entries[at], &before->entries[i]))
			emit(VMT_EVENT_MODULE_UNLOAD, &before->entries[i]);
	}
	at = 0;
	for (uint64_t i = 0; i < fresh.count; i++) {
		while (at < before->count && before->entries[at].low < fresh.entries[i].low)
			at++;
		if (at == before->count || !same(&fresh.entries[i], &before->entries[at]))
			emit(VMT_EVENT_MODULE_LOAD, &fresh.entries[i]);
	}
}

static void
look(void)
{
	bool changed = false;

	vmt_assert(vmt_atomic_load_relaxed(&refreshing) != 0);
	fresh.count = 0;
	if (lister)
		lister(visit, &changed);
	if (!changed)
		return;
	vmt_module_list_sort(&fresh);
	emit_differences(vmt_module_list_current());
	vmt_module_list_publish(&fresh);
	tell_of_change();
}

/* One that never finished may have noted the loader's counts without the list that goes with them:
 * the next look compares everything. A list that it was publishing is published anew. */
static bool
take_turn(void)
{
	enum vmt_robust_trylock turn = vmt_robust_trylock_take(&refreshing);

	if (turn == VMT_ROBUST_TRYLOCK_TAKEN_OVER)
		last_adds = 0;
	return turn != VMT_ROBUST_TRYLOCK_BUSY;
}

void
vmt_modules_refresh(void)
{
	vmt_atomic_store_release(&wanted, 1);
	while (vmt_atomic_load_acquire(&wanted) != 0 && take_turn()) {
		vmt_atomic_store_relaxed(&wanted, 0);
		look();
		vmt_robust_trylock_release(&refreshing);
	}
}

/* The list as it stands, without what overlaps [low, high). */
static void
copy_without(uint64_t low, uint64_t high)
{
	const struct vmt_module_list *list = vmt_module_list_current();

	vmt_assert(low < high && list->count <= VMT_MODULES_MAX);
	fresh.count = 0;
	for (uint64_t i = 0; i < list->count; i++) {
		if (list->entries[i].low >= high || list->entries[i].high <= low)
			fresh.entries[fresh.count++] = list->entries[i];
	}
}

/* Fills `fresh` with the list that has the module in it. False: nothing to do. */
static bool
take_notice(uint64_t address)
{
	struct found_object object;
	struct vmt_loaded_module module;
	struct vmt_elf_headers image;

	if (finder((void *)address, &object) != 0 ||
	    !vmt_elf_headers_describe_mapped(object.link_map->l_addr, (uint64_t)object.map_start,
					     &image))
		return false;
	if (vmt_module_list_find(address, &module) && module.low == image.low &&
	    module.bias == image.bias)
		return false;
	copy_without(image.low, image.high);
	if (fresh.count == VMT_MODULES_MAX) {
		note_full();
		return false;
	}
	add_fresh(object.link_map->l_name ? object.link_map->l_name : "", &image);
	vmt_module_list_sort(&fresh);
	return true;
}

/* Rules are forgotten where something has gone: others may be known of the same addresses. Events
 * are written outside begin_read, as that may wait for room. */
void
vmt_modules_notice(uint64_t address)
{
	uint64_t before;
	bool found;

	if (!finder || !vmt_recording.head || !take_turn())
		return;
	before = vmt_module_list_current()->count;
	found = vmt_modules_begin_read();
	if (found) {
		found = take_notice(address);
		vmt_modules_end_read();
	}
	if (found) {
		emit_differences(vmt_module_list_current());
		if (fresh.count <= before)
			tell_of_change();
		vmt_module_list_publish(&fresh);
	}
	vmt_robust_trylock_release(&refreshing);
}

void
vmt_modules_announce(void)
{
	struct vmt_module_list *list = vmt_module_list_current();

	/* The only thread here: whatever the parent's other threads were at has ended. */
	vmt_module_list_recover();
	last_adds = 0;
	vmt_atomic_store_relaxed(&closed, 0);
	vmt_atomic_store_relaxed(&refreshing, 0);
	vmt_atomic_store_relaxed(&contents, 0);
	for (uint64_t i = 0; i < list->count; i++) {
		struct vmt_module_entry *entry = &list->entries[i];
		struct vmt_module module;

		entry->id = 0;
		if (vmt_module_table_get(descriptors, descriptors_used, (uint32_t)entry->descriptor,
					 &module)) {
			module.low = entry->low;
			module.high = entry->high;
			module.bias = entry->bias;
			entry->id = intern_in_trace(&module);
		}
		if (entry->id == 0)
			note_full();
		emit(VMT_EVENT_MODULE_LOAD, entry);
	}
}
