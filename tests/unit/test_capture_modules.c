/* What is loaded: the list against the dynamic linker's own, and the events of what comes and goes.
 */
#include "base/elf_headers.h"
#include "capture/modules/modules.h"
#include "capture/stacks/capture.h"
#include "capture/stacks/cfi.h"
#include "preload/libc/real.h"
#include "tests/unit/memory_trace.h"

#include <dlfcn.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

/* Calls back, from code without frame pointers. */
static const char plugin_source[] =
    "void plugin_call(void (*callee)(void));\\n"
    "void plugin_call(void (*callee)(void)) { volatile char room[200]; room[0] = 1; callee(); "
    "room[1] = room[0]; }\\n";

static char directory[] = "/tmp/vmtrace-modules-XXXXXX";
static char plugin_path[sizeof(directory) + 16];

struct seen {
	unsigned loads;
	unsigned unloads;
	struct vmt_map_event last;
};

static struct seen
take_events(void)
{
	struct seen seen = {0};
	struct vmt_map_event event;

	while (memory_trace_next(&event)) {
		assert_true(event.kind == VMT_EVENT_MODULE_LOAD ||
			    event.kind == VMT_EVENT_MODULE_UNLOAD);
		assert_true(event.time >= seen.last.time);
		seen.loads += event.kind == VMT_EVENT_MODULE_LOAD;
		seen.unloads += event.kind == VMT_EVENT_MODULE_UNLOAD;
		seen.last = event;
	}
	return seen;
}

static int
check_listed(struct dl_phdr_info *info, size_t size, void *count)
{
	struct vmt_loaded_module module;
	struct vmt_elf_headers image;

	(void)size;
	assert_true(
	    vmt_elf_headers_describe(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum, &image));
	assert_true(vmt_modules_find(image.low, &module));
	assert_int_equal(module.low, image.low);
	assert_int_equal(module.high, image.high);
	assert_int_equal(module.bias, info->dlpi_addr);
	assert_int_equal(module.eh_frame_hdr, image.eh_frame_hdr);
	assert_int_not_equal(module.eh_frame_hdr, 0);
	assert_true(module.frames_low <= module.eh_frame_hdr &&
		    module.eh_frame_hdr < module.frames_high);
	assert_true(vmt_modules_find(image.high - 1, &module));
	assert_int_equal(module.low, image.low);
	++*(unsigned *)count;
	return 0;
}

/* The first look writes a load for every module, with its path. */
static void
test_first_look(void **state)
{
	struct vmt_loaded_module module;
	unsigned count = 0;
	struct seen seen;
	char exe[4096] = "";

	(void)state;
	vmt_modules_refresh();
	dl_iterate_phdr(check_listed, &count);
	seen = take_events();
	assert_int_equal(seen.loads, count);
	assert_int_equal(seen.unloads, 0);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_true(vmt_modules_find((uint64_t)(void *)check_listed, &module));
	assert_true(memory_trace_module_is(module.id, exe));
	assert_true(vmt_modules_find((uint64_t)(void *)getauxval, &module));
	assert_true(memory_trace_module_is(module.id, "libc.so.6"));
	assert_true(vmt_modules_find(getauxval(AT_SYSINFO_EHDR), &module));
	assert_true(memory_trace_module_is(module.id, "[vdso]"));
	assert_false(vmt_modules_find(0x1000, &module));
	assert_false(vmt_modules_find((uint64_t)&module, &module));
	assert_false(vmt_modules_find(UINT64_MAX, &module));
}

static void
test_nothing_new(void **state)
{
	struct seen seen;

	(void)state;
	vmt_modules_refresh();
	seen = take_events();
	assert_int_equal(seen.loads + seen.unloads, 0);
}

static void
test_load_and_unload(void **state)
{
	struct vmt_loaded_module module;
	struct link_map *map = dlopen(plugin_path, RTLD_NOW);
	uint64_t low;
	struct seen seen;

	(void)state;
	assert_non_null(map);
	vmt_modules_refresh();
	seen = take_events();
	assert_int_equal(seen.loads, 1);
	assert_int_equal(seen.unloads, 0);
	low = seen.last.address;
	assert_int_equal(seen.last.argument_a, map->l_addr);
	assert_true(memory_trace_module_is((uint32_t)seen.last.argument_b, "plugin.so"));
	assert_true(vmt_modules_find((uint64_t)dlsym(map, "plugin_call"), &module));
	assert_int_equal(module.low, low);
	assert_int_equal(module.high - module.low, seen.last.length);

	vmt_modules_begin_unload();
	assert_false(vmt_modules_find(low, &module));
	dlclose(map);
	vmt_modules_end_unload();
	vmt_modules_refresh();
	seen = take_events();
	assert_int_equal(seen.loads, 0);
	assert_int_equal(seen.unloads, 1);
	assert_int_equal(seen.last.address, low);
	assert_false(vmt_modules_find(low, &module));
}

/* A module that comes back is the same one in the table. */
static void
test_loads_in_a_loop(void **state)
{
	uint64_t used = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		void *handle = dlopen(plugin_path, RTLD_NOW);
		struct seen seen;

		vmt_modules_refresh();
		vmt_modules_begin_unload();
		dlclose(handle);
		vmt_modules_end_unload();
		vmt_modules_refresh();
		seen = take_events();
		assert_int_equal(seen.loads, 1);
		assert_int_equal(seen.unloads, 1);
		if (i == 0)
			used = vmt_recording.head->modules_used;
		assert_int_equal(vmt_recording.head->modules_used, used);
	}
}

static uint64_t addresses[128];
static uint32_t walked;

__attribute__((noinline)) static void
walk_here(void)
{
	walked = vmt_capture_walk(__builtin_frame_address(0), addresses, 128);
	__asm__ volatile("");
}

/* Nobody has looked since the dlopen: the walk itself finds the module and writes its load. */
static void
test_noticed_by_a_walk(void **state)
{
	void *handle = dlopen(plugin_path, RTLD_NOW);
	union {
		void *found;
		void (*call)(void (*callee)(void));
	} plugin = {dlsym(handle, "plugin_call")};
	struct vmt_loaded_module module;
	struct seen seen;

	(void)state;
	if (!vmt_real_find("_dl_find_object"))
		skip();
	assert_false(vmt_modules_find((uint64_t)plugin.found, &module));
	plugin.call(walk_here);
	assert_true(walked >= 4);
	assert_true(addresses[0] > (uint64_t)plugin.found);
	assert_true(vmt_modules_find(addresses[1], &module));
	assert_true(memory_trace_module_is(module.id, "test_capture_modules"));
	seen = take_events();
	assert_int_equal(seen.loads, 1);
	assert_true(memory_trace_module_is((uint32_t)seen.last.argument_b, "plugin.so"));
	assert_true(vmt_modules_find((uint64_t)plugin.found, &module));
	assert_int_equal(module.id, seen.last.argument_b);
	vmt_modules_refresh();
	assert_int_equal(take_events().loads, 0);
	dlclose(handle);
	vmt_modules_refresh();
	assert_int_equal(take_events().unloads, 1);
}

/* A fresh trace hears of all modules, by ids of its own. */
static void
test_announce(void **state)
{
	struct vmt_loaded_module module;
	unsigned count = 0;
	struct seen seen;

	(void)state;
	dl_iterate_phdr(check_listed, &count);
	memory_trace_end();
	memory_trace_begin();
	vmt_modules_announce();
	seen = take_events();
	assert_int_equal(seen.loads, count);
	assert_true(vmt_modules_find((uint64_t)(void *)getauxval, &module));
	assert_true(memory_trace_module_is(module.id, "libc.so.6"));
	vmt_modules_refresh();
	seen = take_events();
	assert_int_equal(seen.loads + seen.unloads, 0);
}

static int
find_own(struct dl_phdr_info *info, size_t size, void *image)
{
	(void)size;
	return vmt_elf_headers_describe(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum,
					image) &&
	       info->dlpi_name[0] == '\0';
}

/* The two ways to learn of an image agree; the build id is the one in the file. */
static void
test_image(void **state)
{
	struct vmt_elf_headers listed;
	struct vmt_elf_headers mapped;

	(void)state;
	assert_int_equal(dl_iterate_phdr(find_own, &listed), 1);
	assert_true(vmt_elf_headers_describe_mapped(listed.bias, listed.low, &mapped));
	assert_memory_equal(&listed, &mapped, sizeof(listed));
	assert_int_equal(listed.build_id_bytes, 20);
	assert_memory_equal(listed.build_id - 4, "GNU", 4);
}

/* Headers that lie about where things are: what they point to is not believed. */
static void
test_image_out_of_bounds(void **state)
{
	static unsigned char file[8192] __attribute__((aligned(4096)));
	ElfW(Phdr) headers[] = {
	    {.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 4096, .p_memsz = 8192},
	    {.p_type = PT_GNU_EH_FRAME, .p_vaddr = 4000, .p_memsz = 200},
	    {.p_type = PT_NOTE, .p_vaddr = 4090, .p_memsz = 24, .p_align = 4},
	};
	struct vmt_elf_headers image;

	(void)state;
	assert_true(vmt_elf_headers_describe((uint64_t)file, headers, 3, &image));
	assert_int_equal(image.high - image.low, 8192);
	assert_int_equal(image.eh_frame_hdr, 0);
	assert_null(image.build_id);
	headers[1].p_memsz = 96;
	assert_true(vmt_elf_headers_describe((uint64_t)file, headers, 3, &image));
	assert_int_equal(image.eh_frame_hdr, (uint64_t)file + 4000);
	assert_int_equal(image.frames_high, (uint64_t)file + 4096);
	headers[0].p_type = PT_NULL;
	assert_false(vmt_elf_headers_describe((uint64_t)file, headers, 3, &image));
	assert_false(vmt_elf_headers_describe_mapped(0, (uint64_t)file, &image));
}

static uint32_t stop;
static uint32_t missed;

static void *
find_always(void *unused)
{
	struct vmt_loaded_module module;
	uint64_t address = (uint64_t)(void *)getauxval;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (vmt_modules_find(address, &module) &&
		    (address < module.low || address >= module.high || module.id == 0))
			__atomic_add_fetch(&missed, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static void
test_readers_meet_refreshes(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, find_always, NULL), 0);
	for (int i = 0; i < 200; i++) {
		void *handle = dlopen(plugin_path, RTLD_NOW);

		vmt_modules_refresh();
		dlclose(handle);
		vmt_modules_refresh();
		take_events();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(missed, 0);
}

static uint32_t finders;

/* Ends the first thread that asks, in the middle of a change of the list. */
static int
end_here(void *address, void *result)
{
	(void)address;
	(void)result;
	if (__atomic_fetch_add(&finders, 1, __ATOMIC_RELAXED) == 0)
		syscall(SYS_exit, 0);
	return -1;
}

static uint32_t noticing;

static void *
notice_unknown(void *unused)
{
	vmt_thread_mine()->depth = 1; /* as inside a hook */
	__atomic_store_n(&noticing, (uint32_t)gettid(), __ATOMIC_RELEASE);
	vmt_modules_notice(8);
	return unused;
}

/* Later looks go on. The reader that it was is waited for once, as any that stays. */
static void
test_refresher_that_dies(void **state)
{
	union {
		void *found;
		int (*call)(void *address, void *result);
	} finder = {vmt_real_find("_dl_find_object")};
	pthread_t thread;
	void *handle;

	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("skip: that a thread is dead orders its writes before ours, unseen here\n");
	skip();
#endif
	vmt_modules_set_finder(end_here);
	assert_int_equal(pthread_create(&thread, NULL, notice_unknown, NULL), 0);
	pthread_detach(thread);
	while (__atomic_load_n(&noticing, __ATOMIC_ACQUIRE) == 0 ||
	       syscall(SYS_tkill, noticing, 0) == 0)
		usleep(1000);
	assert_int_equal(finders, 1);
	vmt_modules_set_finder(finder.call);
	handle = dlopen(plugin_path, RTLD_NOW);
	vmt_modules_refresh();
	assert_int_equal(take_events().loads, 1);
	dlclose(handle);
	vmt_modules_refresh();
	assert_int_equal(take_events().unloads, 1);
	vmt_modules_end_read();
}

/* A dlclose waits for readers; one that never ends closes contents for good, and is waited for
 * once. Last: there is no way back but a fork. */
static void
test_reader_that_stays(void **state)
{
	struct vmt_loaded_module module;

	(void)state;
	assert_true(vmt_modules_begin_read());
	vmt_guard.no_syscalls = true;
	vmt_modules_begin_unload();
	vmt_guard.no_syscalls = false;
	vmt_modules_end_unload();
	vmt_modules_end_read();
	assert_false(vmt_modules_begin_read());
	assert_false(vmt_modules_find((uint64_t)(void *)getauxval, &module));
	vmt_modules_begin_unload();
	vmt_modules_end_unload();
	vmt_modules_announce();
	assert_true(vmt_modules_begin_read());
	vmt_modules_end_read();
}

static int
set_up(void **state)
{
	char command[512];

	(void)state;
	memory_trace_begin();
	vmt_capture_set_up();
	if (!mkdtemp(directory))
		return -1;
	snprintf(plugin_path, sizeof(plugin_path), "%s/plugin.so", directory);
	snprintf(command, sizeof(command),
		 "printf '%s' | cc -x c - -shared -fPIC -O2 -fomit-frame-pointer -o %s",
		 plugin_source, plugin_path);
	return system(command);
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(plugin_path);
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_look),
	    cmocka_unit_test(test_nothing_new),
	    cmocka_unit_test(test_load_and_unload),
	    cmocka_unit_test(test_loads_in_a_loop),
	    cmocka_unit_test(test_noticed_by_a_walk),
	    cmocka_unit_test(test_announce),
	    cmocka_unit_test(test_image),
	    cmocka_unit_test(test_image_out_of_bounds),
	    cmocka_unit_test(test_readers_meet_refreshes),
	    cmocka_unit_test(test_refresher_that_dies),
	    cmocka_unit_test(test_reader_that_stays),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
