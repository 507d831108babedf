#include "blob/blob_start.h"

#include "base/pages.h"
#include "base/session.h"
#include "base/sys.h"
#include "base/text.h"
#include "blob/loaded_files.h"
#include "capture/core/call_stacks.h"
#include "capture/core/clock.h"
#include "capture/core/config.h"
#include "capture/core/cpu.h"
#include "capture/core/guard.h"
#include "capture/core/message.h"
#include "capture/core/same_thread.h"
#include "capture/emit/emit.h"
#include "capture/entry/begin.h"
#include "capture/entry/raw_entry.h"
#include "capture/go/go_patch.h"
#include "capture/go/go_runtime.h"
#include "capture/go/go_stack.h"
#include "capture/modules/modules.h"
#include "capture/record/heap.h"
#include "capture/record/retreat.h"
#include "capture/record/shortage.h"
#include "capture/stacks/capture.h"
#include "format/head.h"

#include <signal.h>
#include <string.h>

#define SETTINGS_MAX 64u

__attribute__((visibility("default"))) struct vmt_blob_parameters vmt_blob_parameters;

/* One stack of the size that a thread's state is found by, wherever it begins. */
__attribute__((used)) static unsigned char room_for_stack[2 * VMT_THREAD_STACK_BYTES];

#if defined(__x86_64__)
static uint32_t
read_cpu(void)
{
	uint32_t low, high, number;

	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(number));
	return number & 0xfff; /* vdso_encode_cpunode of arch/x86/include/asm/segment.h */
}
#endif

static void
set_up_clock(void)
{
	vmt_clock_is_tsc = vmt_begin_can_use_tsc();
#if defined(__x86_64__)
	if (vmt_clock_is_tsc)
		vmt_cpu_ask = read_cpu;
#endif
}

static const char *
read_settings(void)
{
	static char *entries[SETTINGS_MAX + 1];
	char *at = vmt_blob_parameters.settings;
	uint32_t count = 0;

	for (; *at && count < SETTINGS_MAX; at += vmt_text_string_bytes(at) + 1)
		entries[count++] = at;
	entries[count] = NULL;
	return vmt_config_read(&vmt_config, entries);
}

static void
complete(struct vmt_elf_headers *image)
{
	const struct vmt_blob_parameters *parameters = &vmt_blob_parameters;

	if (parameters->frame_index == 0 || image->eh_frame_hdr != 0 ||
	    parameters->frames_low < image->low || parameters->frames_high > image->high)
		return;
	image->eh_frame_hdr = parameters->frame_index;
	image->eh_frame_hdr_bytes = parameters->frame_index_bytes;
	image->frames_low = parameters->frames_low;
	image->frames_high = parameters->frames_high;
}

static void
prepare(void)
{
	const struct vmt_blob_parameters *parameters = &vmt_blob_parameters;

	vmt_own_memory_add(parameters->low, parameters->high - parameters->low);
	for (uint32_t i = 0; i < VMT_BLOB_STUBS; i++)
		if (parameters->stubs[i].bytes != 0)
			vmt_own_memory_add(parameters->stubs[i].start, parameters->stubs[i].bytes);
	vmt_modules_set_lister(vmt_loaded_files_list);
	vmt_modules_set_completer(complete);
	vmt_capture_set_up();
	vmt_recording.head->stack_mode = vmt_recording.stack_mode;
	vmt_recording.head->notes |= VMT_NOTE_INJECTED;
	vmt_recording.head->notes |= parameters->attached ? VMT_NOTE_ATTACHED : 0;
	vmt_recording.head->calls_unseen = parameters->calls_unseen;
	vmt_recording.head->calls_unseen_at = parameters->calls_unseen_at;
	vmt_go_patch_left.wanted = parameters->attached != 0;
	vmt_recording.head->heap_functions = parameters->heap_functions;
	vmt_recording.head->heap_unseen = parameters->heap_unseen;
	vmt_recording.head->heap_is_glibc = parameters->heap_is_glibc;
	vmt_recording.head->heap_unseen_at = parameters->heap_unseen_at;
	(void)vmt_go_runtime_set_up(vmt_loaded_files_list, vmt_config.go,
				    vmt_config.go_heap && !parameters->attached, vmt_raw_entry_go);
	vmt_same_thread_set_finder(vmt_go_stack_id_word);
	vmt_call_stacks_set_up(vmt_config.scarce);
	vmt_call_stacks_count_in(vmt_recording.head);
	/* The collector looks once the program has been let go. */
	vmt_recording.awaits_collector = vmt_blob_parameters.starts;
}

static const char *
base_name(uint64_t path)
{
	const char *at = (const char *)path; /* NOLINT(performance-no-int-to-ptr) */
	const char *name = at ? at : "";

	for (; at && *at; at++)
		if (*at == '/')
			name = at + 1;
	return name;
}

/* By its file's name, or one that it was executed by. */
static bool
is_wanted(void)
{
	static char path[VMT_EXE_BYTES];
	long length =
	    vmt_sys_call4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	return vmt_config_matches(vmt_config.only, base_name((uint64_t)path)) ||
	       vmt_config_matches(vmt_config.only, base_name(vmt_blob_parameters.executed)) ||
	       vmt_config_matches(vmt_config.only, base_name(vmt_blob_parameters.invoked));
}

static bool
is_left_out(void)
{
	if (vmt_config.only[0] == '\0' || is_wanted())
		return false;
	if (vmt_recording.session)
		vmt_session_leave_out(vmt_recording.session,
				      base_name(vmt_blob_parameters.executed));
	return true;
}

/* NULL, or why nothing can be recorded; empty: it is left out. */
static const char *
begin(void)
{
	const char *wrong = read_settings();

	if (wrong)
		return wrong;
	if (vmt_blob_parameters.heap_functions == 0)
		vmt_config.malloc_mode = VMT_MALLOC_OFF;
	vmt_recording.session = vmt_begin_find_session();
	if (is_left_out())
		return "";
	set_up_clock();
	vmt_config.scarce = vmt_shortage_is_limited();
	vmt_config.mappings_at_once = vmt_blob_parameters.mappings;
	if (!vmt_guard_set_up() || !vmt_heap_set_up_samples())
		return "no address space left for the tracer's tables";
	return vmt_begin_trace(prepare);
}

static void
tell(const char *why)
{
	struct vmt_text_out out =
	    vmt_text_out_begin(vmt_blob_parameters.why, sizeof(vmt_blob_parameters.why));

	if (why)
		vmt_text_put(&out, why);
	vmt_blob_parameters.state = !why	  ? VMT_BLOB_RECORDING
				    : why[0] != 0 ? VMT_BLOB_REFUSED
						  : VMT_BLOB_LEFT_OUT;
}

/* Handlers of the allocator's functions run on the program's stacks. */
static void
begin_heap(void)
{
	static const struct vmt_heap_next next = {.is_self_contained = false};

	if (vmt_blob_parameters.state != VMT_BLOB_RECORDING || !vmt_call_stacks_tell())
		return;
	vmt_raw_entry_set_up(vmt_blob_parameters.hides_alternates != 0);
	vmt_atomic_store_relaxed(&vmt_recording.malloc_mode, vmt_config.malloc_mode);
	vmt_heap_open_gate(&next);
}

/* The injector knows them by its own names. */
static void
tell_go_places(void)
{
	struct vmt_blob_parameters *parameters = &vmt_blob_parameters;

	_Static_assert(sizeof(parameters->go_places) == sizeof(vmt_go_patch_left.places), "");
	memcpy(parameters->go_places, vmt_go_patch_left.places, sizeof(parameters->go_places));
	parameters->go_places_count = vmt_go_patch_left.count;
}

static void
tell_own_memory(void)
{
	for (uint32_t i = 0; i < VMT_BLOB_OWN && i < vmt_own_memory.count; i++) {
		const struct vmt_own_range *range = &vmt_own_memory.ranges[i];

		vmt_blob_parameters.own[i] =
		    (struct vmt_blob_range){range->start, range->end - range->start};
	}
}

/* All signals but the one that says it is over wait until the program runs. That is sent first, and
 * comes before any of the kind that waits for the whole process. */
static void
hand_over(void)
{
	uint32_t signal = vmt_blob_parameters.signal;
	uint64_t all_but_one = ~(UINT64_C(1) << (signal - 1));

	if (signal != 0) {
		vmt_sys_call3(SYS_tgkill, vmt_sys_call0(SYS_getpid), vmt_sys_call0(SYS_gettid),
			      signal);
		vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &all_but_one, NULL,
			      sizeof(all_but_one));
	}
	vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &vmt_blob_parameters.resume_mask, NULL,
		      sizeof(vmt_blob_parameters.resume_mask));
}

__attribute__((used)) static void
run(void)
{
	const struct vmt_blob_parameters *parameters = &vmt_blob_parameters;
	const char *why;

	vmt_pages_set_size(parameters->page_bytes);
	vmt_thread_base =
	    parameters->reads_thread_base ? VMT_THREAD_BASE_READ : VMT_THREAD_BASE_ASKED;
	vmt_thread_mine()->depth = 1;
	if (parameters->shares_pointer)
		vmt_threads_inside_distrust();
	vmt_loaded_files_set_program(parameters->program_headers);
	/* What was started as a service long ago expects no line of ours. */
	if (!parameters->attached)
		vmt_message_set_up();
	/* Who collects is who waits for this. All threads stand until it is done. */
	vmt_emit_put_off_collector(parameters->attached != 0);
	why = begin();
	vmt_emit_put_off_collector(false);
	if (why)
		vmt_guard_go_inert(NULL);
	vmt_thread_mine()->depth = 0;
	tell_go_places();
	tell_own_memory();
	tell(why);
	begin_heap();
	hand_over();
}

/* Recording ends before anything goes: a fork child has none either. */
__attribute__((used)) static void
end(void)
{
	struct vmt_blob_parameters *parameters = &vmt_blob_parameters;
	bool has_state = vmt_thread_stacks.bytes == 0 || vmt_thread_find() != NULL;
	bool leaves = parameters->is_quiet && vmt_call_stacks_are_free() &&
		      !vmt_thread_is_any_inside() && has_state;

	vmt_guard_go_inert(NULL);
	if (has_state) {
		vmt_thread_mine()->depth = 1;
		if (vmt_recording.head)
			vmt_retreat_say(VMT_STOP_DETACHED);
	}
	if (leaves)
		vmt_retreat_unmap();
	tell_own_memory();
	parameters->has_left = leaves;
	parameters->state = VMT_BLOB_ENDED;
	hand_over();
}

_Static_assert(offsetof(struct vmt_blob_parameters, resume_pc) == 0 &&
		   offsetof(struct vmt_blob_parameters, resume_sp) == 8,
	       "as in vmt_blob_start");
_Static_assert(sizeof(room_for_stack) == 131072 && VMT_THREAD_STATE_BYTES == 256,
	       "as in vmt_blob_start");

#if defined(__x86_64__)
#define TAKE_STACK                                                                                 \
	"	leaq 131072+room_for_stack(%rip), %rsp\n"                                                \
	"	andq $-65536, %rsp\n"                                                                    \
	"	subq $256, %rsp\n"                                                                       \
	"	xorl %ebp, %ebp\n"                                                                       \
	"	cld\n"

#define GO_ON                                                                                      \
	"	movq 8+vmt_blob_parameters(%rip), %rsp\n"                                                \
	"	xorl %eax, %eax\n"                                                                       \
	"	xorl %ebx, %ebx\n"                                                                       \
	"	xorl %ecx, %ecx\n"                                                                       \
	"	xorl %edx, %edx\n"                                                                       \
	"	xorl %esi, %esi\n"                                                                       \
	"	xorl %edi, %edi\n"                                                                       \
	"	xorl %ebp, %ebp\n"                                                                       \
	"	xorl %r8d, %r8d\n"                                                                       \
	"	xorl %r9d, %r9d\n"                                                                       \
	"	xorl %r10d, %r10d\n"                                                                     \
	"	xorl %r11d, %r11d\n"                                                                     \
	"	xorl %r12d, %r12d\n"                                                                     \
	"	xorl %r13d, %r13d\n"                                                                     \
	"	xorl %r14d, %r14d\n"                                                                     \
	"	xorl %r15d, %r15d\n"                                                                     \
	"	jmpq *vmt_blob_parameters(%rip)\n"

__asm__(".pushsection .text\n"
	".globl vmt_blob_start\n"
	".type vmt_blob_start, @function\n"
	"vmt_blob_start:\n" TAKE_STACK "	call run\n" GO_ON
	".size vmt_blob_start, . - vmt_blob_start\n"
	".globl vmt_blob_end\n"
	".type vmt_blob_end, @function\n"
	"vmt_blob_end:\n" TAKE_STACK "	call end\n" GO_ON ".size vmt_blob_end, . - vmt_blob_end\n"
	".globl vmt_blob_entry\n"
	".type vmt_blob_entry, @function\n"
	"vmt_blob_entry:\n"
	"	jmp vmt_raw_entry_site\n"
	".size vmt_blob_entry, . - vmt_blob_entry\n"
	".popsection\n");
#endif
