/* Stacks through code that comes and goes: out of files and memory, of what was there then. */
#include "collect/touch_unwind.h"

#include "tests/unit/copied_stack.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#if defined(__x86_64__)

/* Calls back, from code without frame pointers. */
static const char plugin_source[] =
    "void plugin_call(void (*callee)(void));\\n"
    "void plugin_call(void (*callee)(void)) { volatile char room[200]; room[0] = 1; callee(); "
    "room[1] = room[0]; }\\n";

static char directory[] = "/tmp/vmtrace-unwind-XXXXXX";
static char plugin_path[sizeof(directory) + 16];

static void
make_plugin(void)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "printf '%s' | cc -O2 -fomit-frame-pointer -shared -fPIC -x c - -o %s",
		 plugin_source, plugin_path);
	assert_int_equal(system(command), 0);
}

static void *
call_plugin(void)
{
	void *handle = dlopen(plugin_path, RTLD_NOW);
	union {
		void *found;
		void (*call)(void (*callee)(void));
	} plugin = {handle ? dlsym(handle, "plugin_call") : NULL};

	assert_non_null(plugin.found);
	plugin.call(take_copy);
	sink++;
	return handle;
}

/* The ranges were read before: an address in none of them has maps read again. */
static void
a_plugin_is_found_when_it_is_met(void **state)
{
	void *handle;

	(void)state;
	make_plugin();
	forget_rules();
	begin(getpid());
	unwind.code.read_again_ns = 0;
	handle = call_plugin();
	assert_complete();
	dlclose(handle);
	unlink(plugin_path);
	end();
}

/* Its memory has gone, its file is there. */
static void
an_unloaded_plugin_is_walked_by_its_file(void **state)
{
	void *handle;

	(void)state;
	make_plugin();
	forget_rules();
	handle = call_plugin();
	begin(getpid());
	dlclose(handle);
	assert_complete();
	unlink(plugin_path);
	end();
}

/* Its file has gone, its memory is there. */
static void
a_deleted_plugin_is_walked_by_its_memory(void **state)
{
	void *handle;

	(void)state;
	make_plugin();
	forget_rules();
	handle = call_plugin();
	unlink(plugin_path);
	begin(getpid());
	assert_complete();
	dlclose(handle);
	end();
}

/* Another file under its name is not taken for it. */
static void
a_replaced_plugin_is_walked_by_its_memory(void **state)
{
	void *handle;

	(void)state;
	make_plugin();
	forget_rules();
	handle = call_plugin();
	unlink(plugin_path);
	assert_int_equal(mkfifo(plugin_path, 0600), 0);
	begin(getpid());
	assert_complete();
	dlclose(handle);
	unlink(plugin_path);
	end();
}

static int
set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(plugin_path, sizeof(plugin_path), "%s/plugin.so", directory);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	forget_rules();
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plugin_is_found_when_it_is_met),
	    cmocka_unit_test(an_unloaded_plugin_is_walked_by_its_file),
	    cmocka_unit_test(a_deleted_plugin_is_walked_by_its_memory),
	    cmocka_unit_test(a_replaced_plugin_is_walked_by_its_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

#else

int
main(void)
{
	return 0;
}

#endif
