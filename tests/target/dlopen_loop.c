/* Loads and unloads a plugin in a loop: dlopen_loop [ROUNDS], default 50. The plugin is named by
 * $ORIGIN, which the loader takes from the file that calls dlopen: it must be this one. */
#include "tests/target/truth.h"

#include <dlfcn.h>

#define CALLS 10

int
main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 50;
	size_t made = 0;

	for (long round = 0; round < rounds; round++) {
		void *plugin = dlopen("$ORIGIN/plugin_small", RTLD_NOW);
		int (*work)(int);

		if (!plugin)
			truth_die(dlerror());
		*(void **)&work = dlsym(plugin, "plugin_work");
		if (!work || work(CALLS) != CALLS)
			truth_die("plugin_work");
		made += 1 + CALLS;
		if (dlclose(plugin) != 0)
			truth_die("dlclose");
	}
	if (dlopen("$ORIGIN/no_such_plugin", RTLD_NOW) || !dlerror())
		truth_die("dlopen that must fail");
	truth_figure("rounds", rounds);
	truth_site(&(struct truth_site){
	    .kind = "malloc",
	    .function = "plugin_make",
	    .count = made,
	    .total_reserved_bytes = (size_t)rounds * (3000 + CALLS * 2000),
	    .released_bytes = (size_t)rounds * (3000 + CALLS * 2000),
	});
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = "plugin_map",
	    .count = (size_t)rounds * CALLS,
	    .total_reserved_bytes = (size_t)rounds * CALLS * 65536,
	    .released_bytes = (size_t)rounds * CALLS * 65536,
	});
	return truth_end("dlopen_loop");
}
