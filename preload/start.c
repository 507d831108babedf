#include "preload/start.h"

#include "base/sys.h"
#include "base/text.h"
#include "capture/core/clock.h"
#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/core/message.h"
#include "capture/emit/emit.h"
#include "capture/go/go_runtime.h"
#include "capture/modules/modules.h"
#include "capture/record/heap.h"
#include "capture/record/samples.h"
#include "capture/record/shortage.h"
#include "capture/stacks/capture.h"
#include "capture/stacks/last_walk.h"
#include "collect/collector.h"
#include "preload/elf_lookup.h"
#include "preload/hooks/hooks_go.h"
#include "preload/hooks/hooks_load.h"
#include "preload/hooks/hooks_new.h"
#include "preload/hooks/hooks_process.h"
#include "preload/program.h"
#include "preload/real.h"
#include "preload/trace/idle_child.h"
#include "preload/trace/initial_maps.h"
#include "preload/trace/open.h"
#include "preload/trace/spawn.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SAMPLE_LINES_SMALL (UINT64_C(1) << 8) /* with a small VMTRACE_BUFFER */
#define SAMPLE_CELLS_SMALL (UINT64_C(1) << 15)
#define ENVIRONMENT_ENTRIES 4096u
#define EXIT_POLL_NS 2000000

/* Sanitizers replace the allocator and watch the address space themselves. */
extern void __asan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
/* Go's race detector is a ThreadSanitizer that replaces nothing. */
extern void __tsan_go_atomic32_load(void) __attribute__((weak));

static uint32_t begun;
static uint32_t finished_generation;

/* A session whose collector has gone is as good as none. */
static struct vmt_session *
find_session(void)
{
	struct vmt_session *session;
	uint32_t collector;

	if (!vmt_config.session[0] || vmt_session_attach(vmt_config.session, &session) < 0)
		return NULL;
	collector = vmt_atomic_load_relaxed(&session->collector_pid);
	if (vmt_atomic_load_relaxed(&session->over) ||
	    (collector != 0 && vmt_sys_call2(SYS_kill, collector, 0) == -ESRCH)) {
		vmt_sys_munmap(session, sizeof(*session));
		return NULL;
	}
	return session;
}

static bool
is_left_out(struct vmt_session *session)
{
	if (vmt_config.only[0] == '\0' || vmt_program_is_named(vmt_config.only))
		return false;
	if (session)
		vmt_session_leave_out(session, vmt_program_name());
	return true;
}

/* Why this image is not to be recorded although nothing is amiss; NULL = it is. */
static const char *
find_objection(struct vmt_session *session)
{
	if (vmt_program_is_under_valgrind())
		return "the program runs under valgrind";
	if (vmt_elf_lookup_is_second_copy())
		return "another copy of the library is loaded before this one";
	if (__asan_init || __msan_init || (__tsan_init && !__tsan_go_atomic32_load))
		return "the program uses a sanitizer";
	if (getauxval(AT_SECURE))
		return "the program runs with raised privileges";
	if (vmt_program_is_command())
		return "the program is vmtrace itself";
	if (is_left_out(session))
		return "VMTRACE_ONLY does not name this program";
	if (session && vmt_atomic_load_relaxed(&session->traces) > 0 && !vmt_config.follow_exec)
		return "VMTRACE_FOLLOW leaves out later images";
	return NULL;
}

/* The kernel's own choice vouches for a TSC that is constant and the same on all CPUs. */
static bool
can_use_tsc(void)
{
#if defined(__x86_64__)
	static const char path[] =
	    "/sys/devices/system/clocksource/clocksource0/current_clocksource";
	char source[8] = "";
	unsigned a, b, c, d;
	int access = PR_TSC_ENABLE;
	int fd;

	if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(d & (1u << 27))) /* rdtscp */
		return false;
	vmt_sys_call2(SYS_prctl, PR_GET_TSC, &access);
	fd = vmt_sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return false;
	vmt_sys_read(fd, source, sizeof(source) - 1);
	vmt_sys_close(fd);
	return access == PR_TSC_ENABLE && memcmp(source, "tsc\n", 4) == 0;
#else
	return false;
#endif
}

/* The size is 0 where the C library was told to register no areas (glibc.pthread.rseq=0). */
static void
find_rseq(void)
{
	const ptrdiff_t *offset = vmt_real_find("__rseq_offset");
	const unsigned *bytes = vmt_real_find("__rseq_size");

	if (offset && bytes && *bytes != 0)
		vmt_recording.rseq_offset = *offset;
}

static void
take_configuration(void)
{
	struct vmt_recording *process = &vmt_recording;

	process->malloc_sample_bytes = vmt_config.malloc_sample_bytes;
	process->stack_depth = vmt_config.stack_depth;
	process->follow_fork = vmt_config.follow_fork;
	process->follow_exec = vmt_config.follow_exec;
	process->go = vmt_config.go;
	process->clock_is_tsc = can_use_tsc();
	find_rseq();
}

static bool
set_up_samples(void)
{
	bool sampled = vmt_config.malloc_mode == VMT_MALLOC_SAMPLED;
	struct vmt_samples_size size =
	    vmt_samples_size_for(sampled ? vmt_config.malloc_sample_bytes : 0, vmt_config.scarce);

	if (vmt_config.malloc_mode == VMT_MALLOC_OFF)
		return true;
	if (vmt_config.buffer_bytes != 0 &&
	    vmt_config.buffer_bytes < VMT_CONFIG_SMALL_BUFFER_BYTES) {
		size.lines = SAMPLE_LINES_SMALL;
		size.cells = SAMPLE_CELLS_SMALL;
	}
	return vmt_samples_set_up(&size);
}

/* Later images find the session by VMTRACE_SESSION. The environment is swapped for a copy in static
 * memory: setenv would allocate. */
static void
export_session(const char *path)
{
	static char *entries[ENVIRONMENT_ENTRIES];
	static char variable[sizeof(VMT_SESSION_ENV) + VMT_RECORDING_PATH_BYTES];
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

	if (!vmt_recording.session && vmt_spawn_collector(&path))
		export_session(path);
}

static void
note_own_malloc(void)
{
	/* A definition: dlsym would name the PLT entry of a program that only calls it. */
	const void *found = vmt_elf_lookup_find("malloc", false);

	if (found && !vmt_elf_lookup_is_ours(found))
		vmt_recording.head->notes |= VMT_NOTE_OWN_MALLOC;
}

/* NULL, or why nothing can be recorded. */
static const char *
begin(struct vmt_session *session)
{
	struct vmt_recording *process = &vmt_recording;
	const char *why;

	vmt_config.scarce = vmt_shortage_is_limited();
	if (!vmt_guard_set_up() || !set_up_samples())
		return "no address space left for the tracer's tables";
	process->session = session;
	why = vmt_open_trace();
	if (why)
		return why;
	note_own_malloc();
	find_collector();
	vmt_hooks_process_set_up();
	vmt_capture_set_up();
	process->head->stack_mode = process->stack_mode;
	if (vmt_go_runtime_set_up(vmt_config.go, vmt_hooks_go_entry))
		vmt_hooks_go_set_up();
	vmt_go_runtime_describe(process->head);
	/* From here on the collector reads the head; there are no events yet to be drained. */
	why = vmt_open_announce();
	if (why)
		return why;
	vmt_modules_refresh();
	vmt_initial_maps_write();
	vmt_guard_begin_recording();
	/* Heap hooks ask for the mode first of all: this opens their gate. */
	vmt_atomic_store_relaxed(&process->malloc_mode, vmt_config.malloc_mode);
	return NULL;
}

static void
set_up(char *const *environment)
{
	const char *wrong = vmt_config_read(&vmt_config, environment);
	struct vmt_session *session = find_session();
	const char *objection = find_objection(session);

	vmt_recording.verbose = vmt_config.verbose;
	(void)vmt_real();
	vmt_hooks_new_set_up();
	if (objection) {
		if (session)
			vmt_sys_munmap(session, sizeof(*session));
		vmt_guard_go_inert(objection);
		return;
	}
	take_configuration();
	objection = wrong ? wrong : begin(session);
	if (objection) {
		vmt_samples_abandon();
		vmt_last_walk_unmap();
		vmt_recording.verbose = false;
		vmt_guard_go_inert(NULL);
		vmt_message_say("not recording", objection);
	} else if (vmt_config.verbose) {
		vmt_message_say("recording to", vmt_recording.trace_path);
	}
}

void
vmt_start_begin(void)
{
	uint32_t not_begun = 0;
	int saved = errno;

	if (vmt_atomic_load_relaxed(&begun) || !vmt_atomic_cas(&begun, &not_begun, 1))
		return;
	vmt_guard_thread.depth = 1;
	vmt_message_set_up();
	set_up(environ);
	vmt_heap_open_gate();
	vmt_guard_thread.depth = 0;
	errno = saved;
}

static void __attribute__((constructor(101))) library_loaded(void)
{
	vmt_start_begin();
}

/* The kernel's own figure: what no sample may have seen. 0: not known. */
static uint64_t
peak_rss_bytes(void)
{
	struct rusage usage = {.ru_maxrss = 0};

	if (vmt_sys_call2(SYS_getrusage, RUSAGE_SELF, &usage) < 0)
		return 0;
	return (uint64_t)usage.ru_maxrss << 10;
}

static void
write_exit(int status, enum vmt_exit_path path)
{
	struct vmt_head *head = vmt_recording.head;
	struct vmt_map_event event = {.kind = VMT_EVENT_EXIT,
				      .length = peak_rss_bytes(),
				      .argument_a = (uint64_t)(int64_t)status,
				      .argument_b = path,
				      .time = vmt_clock_after()};

	vmt_emit_map(&event);
	vmt_atomic_store_relaxed(&head->end_status,
				 path == VMT_EXIT_RETURN ? VMT_STATUS_UNKNOWN : status & 0xff);
	vmt_atomic_store_release(&head->end, VMT_END_EXIT);
}

/* What was asked for, or a part of the life so far: a hundredth, or a tenth where the snapshot is
 * being taken. */
static uint64_t
longest_wait_ns(const struct vmt_head *head, uint64_t end_ns, uint32_t wanted)
{
	uint64_t began_ns = head->clock_start.monotonic_ns;
	uint64_t life_ns = end_ns > began_ns ? end_ns - began_ns : 0;
	bool under_way = vmt_atomic_load_acquire(&head->snapshot_begun) == wanted;
	uint64_t part_ns = life_ns / (under_way ? 10 : 100);

	if (part_ns > VMT_FINISH_WAIT_MAX_NS)
		part_ns = VMT_FINISH_WAIT_MAX_NS;
	return part_ns > vmt_config.exit_wait_ns ? part_ns : vmt_config.exit_wait_ns;
}

/* Whether somebody may still answer. Not where nobody collects, or the trace is not opened yet and
 * the collector has no descriptors for it. */
static bool
may_be_answered(const struct vmt_recording *process)
{
	return vmt_emit_is_collected() &&
	       (vmt_atomic_load_relaxed(&process->head->heartbeat_ns) != 0 ||
		!vmt_atomic_load_relaxed(&process->session->crowded));
}

/* Asks for a snapshot of the process as it stands now, and waits for it, bounded. */
static void
wait_for_snapshot(void)
{
	const struct vmt_recording *process = &vmt_recording;
	struct vmt_head *head = process->head;
	uint32_t wanted = vmt_atomic_add_relaxed(&head->snapshot_wanted, 1) + 1;
	uint64_t began_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
	struct timespec pause = {0, EXIT_POLL_NS};

	/* Where the clock fails, the turns tell the time. */
	for (uint64_t turn = 0; may_be_answered(process); turn++) {
		uint64_t now_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
		uint64_t longest_ns = longest_wait_ns(head, began_ns, wanted);
		uint32_t done = vmt_atomic_load_acquire(&head->snapshot_done);

		if ((int32_t)(done - wanted) >= 0 ||
		    vmt_session_has_parted(process->session, head->random_id) ||
		    now_ns >= began_ns + longest_ns || turn >= longest_ns / EXIT_POLL_NS)
			return;
		vmt_session_wake(process->session);
		vmt_sys_call4(SYS_futex, &head->snapshot_done, FUTEX_WAIT, done, &pause);
	}
}

/* A vfork child runs on its parent's memory, owner page included: its pid gives it away. Under a
 * seccomp filter it cannot be asked; the collector learns of the end by itself. */
static bool
is_ours_to_end(void)
{
	return vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING &&
	       vmt_guard_syscalls_allowed() &&
	       vmt_guard_owner->pid == (uint32_t)vmt_sys_call0(SYS_getpid);
}

static void
finish(int status, enum vmt_exit_path path)
{
	uint32_t generation = vmt_guard_owner->generation;
	uint32_t finished = vmt_atomic_load_relaxed(&finished_generation);
	int saved = errno;
	uint32_t outer;

	if (finished == generation || !is_ours_to_end() || !vmt_guard_hold(&outer))
		return;
	if (vmt_atomic_cas(&finished_generation, &finished, generation)) {
		bool idle = vmt_idle_child_is_one();

		write_exit(status, path);
		if (idle)
			vmt_idle_child_discard();
		else
			wait_for_snapshot();
		vmt_open_leave();
	}
	vmt_guard_let_go(outer);
	errno = saved;
}

void
vmt_start_finish(int status, enum vmt_exit_path path)
{
	if (vmt_guard_has_thread())
		finish(status, path);
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
	vmt_start_finish(VMT_STATUS_UNKNOWN, VMT_EXIT_RETURN);
	errno = saved;
}
