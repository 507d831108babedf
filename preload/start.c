#include "preload/start.h"

#include "base/pages.h"
#include "base/roomy.h"
#include "base/session.h"
#include "base/sys.h"
#include "base/text.h"
#include "capture/core/call_stacks.h"
#include "capture/core/clock.h"
#include "capture/core/config.h"
#include "capture/core/cpu.h"
#include "capture/core/guard.h"
#include "capture/core/message.h"
#include "capture/emit/emit.h"
#include "capture/entry/begin.h"
#include "capture/entry/raw_entry.h"
#include "capture/go/go_runtime.h"
#include "capture/modules/modules.h"
#include "capture/record/heap.h"
#include "capture/record/samples.h"
#include "capture/record/shortage.h"
#include "capture/stacks/capture.h"
#include "capture/stacks/last_walk.h"
#include "capture/trace/finish.h"
#include "capture/trace/open.h"
#include "format/settings.h"
#include "preload/hooks/hooks_load.h"
#include "preload/hooks/hooks_new.h"
#include "preload/hooks/hooks_process.h"
#include "preload/hooks/own_allocator.h"
#include "preload/libc/elf_lookup.h"
#include "preload/libc/libunwind.h"
#include "preload/libc/program_identity.h"
#include "preload/libc/real.h"
#include "preload/trace/spawn.h"
#include "preload/trace/untraced_fork.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define ENVIRONMENT_ENTRIES 4096u

/* Sanitizers replace the allocator and watch the address space themselves. */
extern void __asan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
/* Go's race detector is a ThreadSanitizer that replaces nothing. */
extern void __tsan_go_atomic32_load(void) __attribute__((weak));

/* Not 0: then it lies beside what is written at each start anyway. */
static uint32_t not_begun = 1;

static bool
is_left_out(struct vmt_session *session)
{
	if (vmt_config.only[0] == '\0' || vmt_program_identity_is_named(vmt_config.only))
		return false;
	if (session)
		vmt_session_leave_out(session, vmt_program_identity_name());
	return true;
}

static const char left_out[] = "VMTRACE_ONLY does not name this program";

/* Why this image is not to be recorded although nothing is amiss; NULL = it is. */
static const char *
find_objection(struct vmt_session *session)
{
	if (vmt_program_identity_is_valgrinds())
		return "the program runs under valgrind";
	if (vmt_elf_lookup_is_second_copy())
		return "another copy of the library is loaded before this one";
	if (__asan_init || __msan_init || (__tsan_init && !__tsan_go_atomic32_load))
		return "the program uses a sanitizer";
	if (getauxval(AT_SECURE))
		return "the program runs with raised privileges";
	if (vmt_program_identity_is_command())
		return "the program is vmtrace itself";
	if (is_left_out(session))
		return left_out;
	if (session && vmt_atomic_load_relaxed(&session->traces) > 0 && !vmt_config.follow_exec)
		return "VMTRACE_FOLLOW leaves out later images";
	return NULL;
}

/* The size is 0 where the C library was told to register no areas (glibc.pthread.rseq=0). */
static void
find_rseq(void)
{
	const ptrdiff_t *offset = vmt_real_find("__rseq_offset");
	const unsigned *bytes = vmt_real_find("__rseq_size");

	if (offset && bytes && *bytes != 0)
		vmt_cpu_rseq_offset = *offset;
}

/* Later images find the session by VMTRACE_SESSION. The environment is swapped for a copy in static
 * memory: setenv would allocate. */
static void
export_session(const char *path)
{
	static VMT_ROOMY char *entries[ENVIRONMENT_ENTRIES];
	static char variable[sizeof(VMT_SESSION_ENV) + VMT_SESSION_PATH_BYTES];
	struct vmt_text_out out = vmt_text_out_begin(variable, sizeof(variable));
	const size_t name = strlen(VMT_SESSION_ENV "=");
	size_t count = 0;

	for (char **entry = environ; entry && *entry; entry++) {
		if (strncmp(*entry, VMT_SESSION_ENV "=", name) == 0)
			continue;
		if (count >= ENVIRONMENT_ENTRIES - 2)
			return;
		entries[count++] = *entry;
	}
	vmt_text_put(&out, VMT_SESSION_ENV "=");
	vmt_text_put(&out, path);
	entries[count++] = variable;
	entries[count] = NULL;
	environ = entries;
}

static void
find_collector(void)
{
	const char *path;

	if (!vmt_recording.session && vmt_spawn_collector(&path) && path[0] != '\0')
		export_session(path);
}

/* The program's definition; NULL: it has none. dlsym would name the PLT entry of a program that
 * only calls malloc. */
static const void *
find_own_malloc(void)
{
	const void *found = vmt_elf_lookup_find("malloc", false);

	return found && !vmt_elf_lookup_is_ours(found) ? found : NULL;
}

static uint32_t
ask_cpu(void)
{
	int saved = errno;
	int number = sched_getcpu();

	errno = saved;
	return (uint32_t)number;
}

static uint32_t
walk_by_libunwind(const void *frame, uint64_t *addresses, uint32_t limit)
{
	int saved = errno;
	uint32_t count = vmt_libunwind_walk(frame, addresses, limit);

	errno = saved;
	return count;
}

/* Gives capture what only the C library and the loader can do. */
static void
lend_library(void)
{
	union {
		void *found;
		int (*call)(void *address, void *result);
	} finder = {vmt_real_find("_dl_find_object")};

	vmt_cpu_ask = ask_cpu;
	vmt_modules_set_finder(finder.call);
	vmt_modules_set_lister(dl_iterate_phdr);
	if (vmt_config.stacks == VMT_CONFIG_STACKS_LIBUNWIND && vmt_libunwind_open())
		vmt_capture_set_foreign_walk(walk_by_libunwind);
}

static void
prepare_program(void)
{
	if (!vmt_own_allocator_lead(find_own_malloc()))
		vmt_recording.head->notes |= VMT_NOTE_OWN_MALLOC;
	find_collector();
	vmt_hooks_process_set_up();
	lend_library();
	vmt_capture_set_up();
	vmt_recording.head->stack_mode = vmt_recording.stack_mode;
	if (vmt_go_runtime_set_up(dl_iterate_phdr, vmt_config.go, vmt_config.go_heap,
				  vmt_raw_entry_go)) {
		vmt_call_stacks_set_up(vmt_config.scarce);
		vmt_call_stacks_count_in(vmt_recording.head);
	}
}

/* NULL, or why nothing can be recorded. */
static const char *
begin(struct vmt_session *session)
{
	const char *why;

	vmt_config.scarce = vmt_shortage_is_limited();
	if (!vmt_guard_set_up() || !vmt_heap_set_up_samples())
		return "no address space left for the tracer's tables";
	vmt_recording.session = session;
	vmt_own_allocator_find(find_own_malloc() != NULL);
	why = vmt_begin_trace(prepare_program);
	if (why)
		return why;
	vmt_untraced_fork_set_up();
	vmt_open_await_collector();
	/* Heap hooks ask for the mode first of all: this opens their gate. */
	vmt_atomic_store_relaxed(&vmt_recording.malloc_mode, vmt_config.malloc_mode);
	return NULL;
}

/* The C library's allocator, and those that stand in for it by all of its names, call no function
 * of the family through a name that could be ours. */
static void
open_heap_gate(void)
{
	const struct vmt_real *real = vmt_real();
	struct vmt_heap_next next = {.malloc = real->malloc,
				     .calloc = real->calloc,
				     .realloc = real->realloc,
				     .free = real->free};
	union {
		void *found;
		void *(*call)(size_t size);
	} libc = {NULL};

	if (vmt_heap_mode() == VMT_MALLOC_SAMPLED)
		libc.found = vmt_real_find("__libc_malloc");
	next.is_self_contained = libc.found && libc.call == real->malloc;
	vmt_heap_open_gate(&next);
}

static void
set_up(char *const *environment)
{
	const char *wrong = vmt_config_read(&vmt_config, environment);
	struct vmt_session *session = vmt_begin_find_session();
	const char *objection = find_objection(session);

	vmt_pages_set_size(getauxval(AT_PAGESZ));
	(void)vmt_real();
	vmt_hooks_new_set_up();
	if (objection) {
		if (objection == left_out) /* it may execute one that is named */
			vmt_recording.session = session;
		else if (session)
			vmt_sys_munmap(session, sizeof(*session));
		vmt_guard_go_inert(objection);
		return;
	}
	vmt_clock_is_tsc = vmt_begin_can_use_tsc();
	find_rseq();
	objection = wrong ? wrong : begin(session);
	if (objection) {
		vmt_samples_abandon();
		vmt_last_walk_unmap();
		vmt_config.verbose = false;
		vmt_guard_go_inert(NULL);
		vmt_message_say("not recording", objection);
	} else if (vmt_config.verbose) {
		vmt_message_say("recording to", vmt_recording.trace_path);
	}
}

void
vmt_start_begin(void)
{
	uint32_t first = 1;
	int saved = errno;

	if (!vmt_atomic_load_relaxed(&not_begun) || !vmt_atomic_cas(&not_begun, &first, 0))
		return;
	vmt_thread_mine()->depth = 1;
	vmt_message_set_up();
	set_up(environ);
	open_heap_gate();
	vmt_thread_mine()->depth = 0;
	errno = saved;
}

void (*const vmt_real_begin)(void) = vmt_start_begin;

static void __attribute__((constructor(101))) library_loaded(void)
{
	vmt_start_begin();
}

/* A return from main, or an exit that no hook saw. */
static void __attribute__((destructor(101))) library_unloaded(void)
{
	int saved = errno;

	if (vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING &&
	    vmt_guard_enter()) {
		vmt_hooks_load_settle();
		vmt_guard_leave();
	}
	vmt_finish(VMT_STATUS_UNKNOWN, VMT_EXIT_RETURN);
	errno = saved;
}
