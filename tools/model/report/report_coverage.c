/*
 * Over 500 lines: one function a blind spot.
 */
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/untraced_records.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BLOCK_BYTES (UINT64_C(128) << 10) /* glibc's first M_MMAP_THRESHOLD */

static const char *
stacks_name(uint32_t mode)
{
	switch (mode) {
	case VMT_STACKS_DWARF:
		return "dwarf";
	case VMT_STACKS_FRAME_POINTER:
		return "frame-pointer";
	default:
		return "none";
	}
}

static const char *
malloc_name(uint32_t mode)
{
	switch (mode) {
	case VMT_MALLOC_SAMPLED:
		return "sampled";
	case VMT_MALLOC_ALL:
		return "all";
	default:
		return "off";
	}
}

int
vmt_report_coverage_add(struct vmt_report_draft *draft, const char *format, ...)
{
	size_t count = draft->report.coverage.blind_spot_count;
	char **spots = reallocarray(draft->report.coverage.blind_spots, count + 1, sizeof(*spots));
	char text[1024];
	va_list arguments;

	if (!spots)
		return -ENOMEM;
	draft->report.coverage.blind_spots = spots;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	spots[count] = vmt_string_set_intern(draft->strings, text, strlen(text));
	if (!spots[count])
		return -ENOMEM;
	draft->report.coverage.blind_spot_count++;
	return 0;
}

/* What the recording side has noted, in words. */
static const struct {
	uint32_t note;
	const char *text;
} lines[] = {
    {VMT_NOTE_FORKED,
     "began in a fork child: \"inherited at fork\" is memory from its parent, except "
     "blocks allocated there since. Its call sites, and what of it is live, are in the "
     "parent's trace. Pages that neither has written since count in both processes"},
    {VMT_NOTE_OUTSIDE,
     "observed from outside: the process made no recorded call, and its trace begins about "
     "a tenth of a second after its fork. What it gave back, or took by raw system calls, "
     "shows only in the snapshots"},
    {VMT_NOTE_CHILD_UNSEEN,
     "a fork child could not be observed: another identity or pid namespace, no "
     "descriptors left, or a trace on another file system. If it made no recorded call, "
     "it is in no trace"},
    {VMT_NOTE_SNAPSHOT,
     "a snapshot: no call was recorded, so what asked for memory is not known. [heap] is "
     "\"heap\", other private memory without a file \"anonymous memory\". What of these two is in "
     "use, and what is free, only the program's allocator knows"},
    {VMT_NOTE_WATCHED,
     "watched from outside: no call was recorded, so what asked for memory, and what gave it "
     "back, is not known. [heap] is \"heap\", other private memory without a file \"anonymous "
     "memory\". What of these two is in use, and what is free, only the program's allocator knows. "
     "What came and went between two snapshots is not seen"},
    {VMT_NOTE_ATTACHED, "the recording began while the process ran. \"heap\" and "
			"\"anonymous memory\" are from "
			"before: what asked for them is not known"},
    {VMT_NOTE_OWN_MALLOC,
     "the program defines its own malloc: its blocks are not recorded, its mappings are. "
     "Mappings of an allocator that is known by its function names are under \"malloc, "
     "live or free\". Those of another one, or of a stripped one, are under the call that "
     "made them"},
    {VMT_NOTE_SECCOMP, "the program installed a seccomp filter: from then on pages were "
		       "not checked before a release"},
    {VMT_NOTE_RAW_SYSCALLS, "the program made memory calls through syscall(): those that "
			    "were seen are recorded, raw system call instructions are not"},
    {VMT_NOTE_NO_COLLECTOR, "no collector could be started: only the newest events were "
			    "kept, and no snapshot was taken"},
    {VMT_NOTE_MODULES_FULL, "the module table was full: some stacks have no names"},
    {VMT_NOTE_NESTED, "calls made inside other recorded calls (an allocator's own "
		      "mappings) were not recorded"},
    {VMT_NOTE_OUT_OF_STEP,
     "the machine was suspended, or its time stamp counter is not steady: times are "
     "estimates. Where the counter went back, the order of calls is an estimate too"},
    {VMT_NOTE_UNMAPPED, "the program unmapped the trace: its later calls are unknown"},
    {VMT_NOTE_HOLES_MOVED,
     "one mremap moved a range with holes in it, as Linux 6.17 and later do. What was "
     "mapped where the holes went stayed mapped, but counts as released here"},
    {VMT_NOTE_PRESENT_CUT, "more than 16,384 anonymous mappings existed when the trace "
			   "began: the memory of those beyond has no owner"},
    {VMT_NOTE_NOT_IN_PROC,
     "the collector did not find the process in /proc, as in a pid namespace without a "
     "/proc of its own (unshare --mount-proc makes one). No snapshot was taken. Of later "
     "calls only the newest were kept"},
    {VMT_NOTE_VECTORS, "process_madvise was called with a pidfd of unknown owner (Linux "
		       "6.13 and later tell it, but not behind a seccomp filter). If it "
		       "was this process, what the call gave back is in no row"},
};

static int
add_notes(struct vmt_report_draft *draft, uint32_t notes)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int status =
		    notes & lines[i].note ? vmt_report_coverage_add(draft, "%s", lines[i].text) : 0;

		if (status)
			return status;
	}
	return 0;
}

/* Where the kernel did not keep the rings' content for us. */
static int
add_buffered(struct vmt_report_draft *draft, uint32_t notes)
{
	if (!(notes & VMT_NOTE_BUFFERED))
		return 0;
	if (vmt_trace_end_chunk(draft->trace))
		return vmt_report_coverage_add(
		    draft, "the trace's file system has no shared mappings: events were written "
			   "as they were collected. A kill of the program together with its "
			   "collector would have lost the last ones");
	return vmt_report_coverage_add(
	    draft, "the trace's file system has no shared mappings: events are "
		   "written as they are collected. If the program was killed together "
		   "with its collector, its last events are missing and not counted");
}

/* Of whom nobody is told where nobody runs `vmtrace record`. */
static int
add_removed(struct vmt_report_draft *draft, const struct vmt_head *head)
{
	if (head->traces_removed == 0)
		return 0;
	return vmt_report_coverage_add(
	    draft,
	    "traces of %" PRIu64
	    " other processes of this recording were removed before this one ended: of fork "
	    "children that did nothing with memory, or by VMTRACE_MIN_RSS or VMTRACE_MAX_FILES",
	    head->traces_removed);
}

struct untraced {
	uint64_t told;
	uint64_t private_bytes; /* the most of one; 0: nothing was read */
	uint64_t executed;	/* besides: programs that load no library */
};

static bool
add_one(void *context, const struct vmt_untraced *record)
{
	struct untraced *untraced = context;

	if (record->why == VMT_UNTRACED_STATIC) {
		untraced->executed++;
		return true;
	}
	untraced->told++;
	if (record->private_bytes != VMT_FIGURE_UNKNOWN &&
	    record->private_bytes > untraced->private_bytes)
		untraced->private_bytes = record->private_bytes;
	return true;
}

/* Rounded up: it is said that none had more. */
static double
most_mib(uint64_t bytes)
{
	return ceil((double)bytes / (1 << 20) * 100) / 100;
}

static int
add_ended(struct vmt_report_draft *draft, const struct untraced *untraced)
{
	if (untraced->told == 0)
		return 0;
	if (untraced->private_bytes == 0)
		return vmt_report_coverage_add(
		    draft,
		    "processes of this tree that ended without a trace: %" PRIu64
		    ". Nothing was read of their memory",
		    untraced->told);
	return vmt_report_coverage_add(draft,
				       "processes of this tree that ended without a trace: %" PRIu64
				       ". At most %.2f MiB of private memory were read of one",
				       untraced->told, most_mib(untraced->private_bytes));
}

static int
add_untraced(struct vmt_report_draft *draft)
{
	struct untraced untraced = {0};
	int status;

	vmt_untraced_records_each(draft->trace, add_one, &untraced);
	status = add_ended(draft, &untraced);
	if (status != 0 || untraced.executed == 0)
		return status;
	return vmt_report_coverage_add(
	    draft,
	    "programs that load no library, executed in this tree and not recorded: %" PRIu64
	    ". They may not be traced, or the recorder could not be put there in time",
	    untraced.executed);
}

/* From this level on some of the blocks that glibc maps one by one, of 128 KiB and more, are left
 * out. */
static int
add_thinned(struct vmt_report_draft *draft)
{
	if (vmt_thin_level_for(draft->joined_level, MAPPED_BLOCK_BYTES) == 0)
		return 0;
	return vmt_report_coverage_add(
	    draft,
	    "blocks of %u KiB and more were left out as well, to keep the trace within its maximum "
	    "size: a mapping that glibc made for one such block is unattributed",
	    (unsigned)(MAPPED_BLOCK_BYTES >> 10));
}

/* Go code without C code: there is no malloc. */
static bool
is_go_alone(const struct vmt_go *go)
{
	return go->version[0] && !(go->flags & VMT_GO_CGO);
}

static int
add_sampled(struct vmt_report_draft *draft, const struct vmt_head *head)
{
	if (head->malloc_mode != VMT_MALLOC_SAMPLED)
		return 0;
	return vmt_report_coverage_add(draft,
				       "malloc blocks smaller than %" PRIu64 " bytes were "
				       "sampled: their figures are unbiased estimates",
				       head->malloc_sample_bytes);
}

static int
add_attached_malloc(struct vmt_report_draft *draft, const struct vmt_head *head)
{
	int status = vmt_report_coverage_add(
	    draft,
	    "the process was recorded by the system calls in its code and in its C library's, and "
	    "by its malloc's functions. Only blocks that were made since the recording began are "
	    "known. Those from before are in memory from before");

	return status ? status : add_sampled(draft, head);
}

static int
add_malloc(struct vmt_report_draft *draft, const struct vmt_head *head)
{
	if (draft->report.coverage.own_malloc ||
	    (head->notes & (VMT_NOTE_OUTSIDE | VMT_NOTE_SNAPSHOT | VMT_NOTE_WATCHED)))
		return 0; /* a note says it */
	if (head->notes & VMT_NOTE_INJECTED && is_go_alone(&head->go))
		return vmt_report_coverage_add(
		    draft, "the process was recorded by the system calls in its code");
	if ((head->notes & VMT_NOTE_ATTACHED) && head->heap_functions != 0)
		return add_attached_malloc(draft, head);
	if ((head->notes & VMT_NOTE_INJECTED) && (head->notes & VMT_NOTE_ATTACHED))
		return vmt_report_coverage_add(
		    draft, "the process was recorded by the system calls in its code and in its C "
			   "library's: its mappings are recorded, blocks of malloc are not");
	if ((head->notes & VMT_NOTE_INJECTED) && head->heap_functions == 0 &&
	    (head->notes & VMT_NOTE_FORKED))
		return vmt_report_coverage_add(
		    draft,
		    "the process was recorded by the system calls in its code, as its parent "
		    "was: its mappings are recorded, blocks of malloc are not");
	if ((head->notes & VMT_NOTE_INJECTED) && head->heap_functions == 0)
		return vmt_report_coverage_add(
		    draft, "the program loads no library, and was recorded by the system calls in "
			   "its code: its mappings are recorded, blocks of a malloc in it are not");
	if (head->malloc_mode == VMT_MALLOC_OFF && (head->notes & VMT_NOTE_FORKED))
		return vmt_report_coverage_add(
		    draft, "malloc was not recorded: arena memory that is not inherited from "
			   "the parent is under \"malloc, live or free\". Blocks that glibc "
			   "maps one by one (of 128 KiB and more) are unattributed");
	if (head->malloc_mode == VMT_MALLOC_OFF)
		return vmt_report_coverage_add(
		    draft, "malloc was not recorded: live and free arena memory can't be told "
			   "apart and is under \"malloc, live or free\". Blocks that glibc maps "
			   "one by one (of 128 KiB and more) are unattributed");
	return add_sampled(draft, head);
}

/* Put into one program: the recorder does not go on to the next by itself. */
static int
add_started(struct vmt_report_draft *draft, uint32_t notes)
{
	if (!(notes & VMT_NOTE_INJECTED))
		return 0;
	if (notes & VMT_NOTE_ATTACHED)
		return vmt_report_coverage_add(
		    draft, "the programs that the process and its children start, and what they "
			   "become by exec, are not recorded: they have no traces");
	if (notes & VMT_NOTE_FORKED)
		return vmt_report_coverage_add(
		    draft, "the programs that the process starts, and what it becomes by exec, are "
			   "recorded only if LD_PRELOAD reaches them. One that loads no library is "
			   "if the collector sees the exec");
	return vmt_report_coverage_add(
	    draft, "of the programs that it starts or becomes by exec, those that load no library "
		   "either are recorded only while the collector runs and sees the exec. Others "
		   "are only if "
		   "LD_PRELOAD reaches them");
}

/* An allocator in the program's own code. */
static int
add_heap_functions(struct vmt_report_draft *draft, const struct vmt_head *head)
{
	int status = 0;

	if (head->heap_unseen != 0)
		status = vmt_report_coverage_add(
		    draft,
		    "%u function%s of an allocator in the program's code could not be led to the "
		    "recorder%s at %#" PRIx64 ": blocks that they make or release are not recorded",
		    head->heap_unseen, head->heap_unseen == 1 ? "" : "s",
		    head->heap_unseen == 1 ? "," : ", the first", head->heap_unseen_at);
	if (status == 0 && head->heap_missed != 0)
		status = vmt_report_coverage_add(
		    draft,
		    "%" PRIu64 " calls of malloc's family were made by threads for which the "
		    "recorder had no room, and are not recorded",
		    head->heap_missed);
	return status;
}

static int
add_unseen_calls(struct vmt_report_draft *draft, const struct vmt_head *head)
{
	if (head->calls_unseen == 0)
		return 0;
	return vmt_report_coverage_add(
	    draft,
	    "%u system call%s in the program's code could not be led to the recorder%s at %#" PRIx64
	    ": a memory call made there is not recorded",
	    head->calls_unseen, head->calls_unseen == 1 ? "" : "s",
	    head->calls_unseen == 1 ? "," : ", the first", head->calls_unseen_at);
}

static int
add_missed_calls(struct vmt_report_draft *draft, const struct vmt_head *head)
{
	if (head->go.missed_calls == 0)
		return 0;
	return vmt_report_coverage_add(draft,
				       "%" PRIu64 " raw system calls were not recorded: no stack "
				       "was free to record them on, or the program has a filter of "
				       "system calls",
				       head->go.missed_calls);
}

/* Whether calls that were recorded may be missing in the trace, counted or not. */
static bool
has_losses(const struct vmt_report_draft *draft)
{
	const struct vmt_trace_loss *loss = vmt_trace_loss(draft->trace);
	bool buffered = vmt_trace_head(draft->trace)->notes & VMT_NOTE_BUFFERED;

	return loss->events_dropped || loss->events_overwritten || loss->events_missing ||
	       loss->slots_abandoned || loss->samples_dropped ||
	       (buffered && !vmt_trace_end_chunk(draft->trace));
}

/* Memory that is handed out again has been released: where no event was lost, past us. */
static int
add_unseen(struct vmt_report_draft *draft)
{
	const struct vmt_replay *replay = draft->replay;

	if (!replay->double_acquisitions && !replay->unknown_releases)
		return 0;
	if (has_losses(draft))
		return vmt_report_coverage_add(
		    draft,
		    "events were lost: %" PRIu64
		    " acquisitions were of memory not yet released, %" PRIu64
		    " releases of unknown memory",
		    replay->double_acquisitions, replay->unknown_releases);
	if (vmt_trace_head(draft->trace)->notes & VMT_NOTE_ATTACHED)
		return vmt_report_coverage_add(
		    draft,
		    "%" PRIu64 " blocks or ranges were released that nobody saw being made. Their "
		    "calls had begun before the recording, or the C library gave back what it had "
		    "kept for a thread that ended. %" PRIu64
		    " were made where no release had been seen: those before them count as live "
		    "until then",
		    replay->unknown_releases, replay->double_acquisitions);
	return vmt_report_coverage_add(
	    draft,
	    "%" PRIu64 " releases and %" PRIu64
	    " acquisitions bypassed vmtrace. Code loaded with RTLD_DEEPBIND (PHP extensions) or "
	    "dlmopen does so, and code with its own allocator. Memory released that way counts as "
	    "live until it is handed out again",
	    replay->double_acquisitions, replay->unknown_releases);
}

/* Which children of a process that forked have no trace. */
static const char *
forks_text(uint32_t notes)
{
	if (notes & VMT_NOTE_NO_FORKS)
		return "the process forked: its fork children were not recorded (VMTRACE_FOLLOW) "
		       "and have no traces";
	if (notes & VMT_NOTE_NO_COLLECTOR)
		return "the process forked: without a collector, a fork child has a trace only "
		       "after its first recorded call";
	return "the process forked: a fork child that made no recorded call has a trace without "
	       "call sites if it lived for a second or had 1 MiB of its own. One that ended "
	       "sooner is counted in a line of its own";
}

/* What the replay met. */
static int
add_replay(struct vmt_report_draft *draft)
{
	const struct vmt_replay *replay = draft->replay;
	int status = add_unseen(draft);

	if (!status && replay->early_releases)
		status = vmt_report_coverage_add(
		    draft, "releases of memory from before the trace began: %" PRIu64,
		    replay->early_releases);
	if (!status && replay->sampled_looks)
		status = vmt_report_coverage_add(draft,
						 "releases of which only a sample of the pages was "
						 "checked, so that their committed bytes are "
						 "estimates: %" PRIu64,
						 replay->sampled_looks);
	if (!status && replay->unlooked_releases)
		status = vmt_report_coverage_add(
		    draft,
		    "releases whose pages were not checked, so that their committed bytes count "
		    "as 0: %" PRIu64,
		    replay->unlooked_releases);
	if (!status && replay->forks)
		status = vmt_report_coverage_add(draft, "%s",
						 forks_text(vmt_trace_head(draft->trace)->notes));
	if (!status && replay->malformed)
		status = vmt_report_coverage_add(
		    draft, "malformed events that were skipped: %" PRIu64, replay->malformed);
	return status;
}

static int
add_snapshot(struct vmt_report_draft *draft)
{
	const char *name = vmt_allocators_name(draft->allocators);

	if (!draft->joined)
		return vmt_report_coverage_add(
		    draft, "the trace has no snapshot: committed memory is unknown");
	if (draft->snapshot.head.source == VMT_RESIDENCY_MINCORE)
		return vmt_report_coverage_add(draft,
					       "residency was read by mincore: it can't tell "
					       "swapped pages, huge pages and the zero page");
	if (draft->attribution.foreign_allocator)
		return vmt_report_coverage_add(
		    draft,
		    "the allocator is not glibc's (%s): what it mapped without "
		    "a recorded call is under malloc%s",
		    name && strcmp(name, "the allocator") != 0 ? name : "unknown which",
		    draft->report.coverage.own_malloc ||
			    draft->report.coverage.malloc_mode[0] == 'o'
			? ", live or free"
			: " retained where it holds no live block");
	return 0;
}

int
vmt_report_coverage_fill(struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	struct vmt_report *report = &draft->report;
	int status;

	report->coverage.stacks = stacks_name(head->stack_mode);
	report->coverage.malloc_mode = malloc_name(head->malloc_mode);
	report->coverage.own_malloc = (head->notes & VMT_NOTE_OWN_MALLOC) != 0;
	report->coverage.malloc_sample_bytes =
	    head->malloc_mode == VMT_MALLOC_SAMPLED ? head->malloc_sample_bytes : 0;
	status = add_notes(draft, head->notes);
	if (!status && report->packed.are_damaged)
		status = vmt_report_coverage_add(
		    draft, "The names that the trace carries are damaged and not used: names come "
			   "from files. vmtrace pack makes them anew where the files are");
	if (!status)
		status = add_buffered(draft, head->notes);
	if (!status && head->hooks_left)
		status = vmt_report_coverage_add(
		    draft,
		    "%" PRIu64 " recorded calls were abandoned by a jump out of a signal handler: "
		    "calls made until that was noticed may be missing",
		    head->hooks_left);
	if (!status && head->nested_calls)
		status = vmt_report_coverage_add(
		    draft,
		    "%" PRIu64 " calls inside other recorded ones were not recorded: the "
		    "allocator's own, whose memory the outer call shows, or a signal handler's",
		    head->nested_calls);
	if (!status)
		status = add_removed(draft, head);
	if (!status)
		status = add_untraced(draft);
	if (!status)
		status = add_malloc(draft, head);
	if (!status)
		status = add_started(draft, head->notes);
	if (!status)
		status = add_heap_functions(draft, head);
	if (!status)
		status = add_unseen_calls(draft, head);
	if (!status)
		status = add_missed_calls(draft, head);
	if (!status)
		status = add_thinned(draft);
	if (!status)
		status = add_snapshot(draft);
	if (!status)
		status = vmt_report_touch_cover(draft);
	if (!status)
		status = add_replay(draft);
	return status;
}
