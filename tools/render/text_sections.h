/*
 * text_sections.h: what the sections of a report's text share.
 *
 * Shared by text_report.c, diff_text.c and the text_*.c files, whose functions stand here too.
 * Writes to the layout's stream.
 */
#ifndef VMT_TEXT_SECTIONS_H
#define VMT_TEXT_SECTIONS_H

#include "tools/model/report/report.h"
#include "tools/render/text_options.h"

/* An empty line and a title. */
void vmt_text_sections_title(const struct vmt_text_options *options, const char *text);

/* The name of what stands in a row, after `figures`, on the same line where it has room; then its
 * callers. */
void vmt_text_sections_named(const struct vmt_text_options *options, const char *figures,
			     const char *kind, const struct vmt_stack_frames *stack);

/* So many callers of what names a stack, a line for each. */
void vmt_text_sections_callers(const struct vmt_layout *layout,
			       const struct vmt_stack_frames *stack, size_t callers, size_t indent);

/* Of rows that were chosen: how many and how much of all. */
void vmt_text_selection(const struct vmt_text_options *options);

/* Call sites added up by options->by; as a tree of calls. */
void vmt_text_aggregate(const struct vmt_report *report, const struct vmt_text_options *options);
void vmt_text_tree(const struct vmt_report *report, const struct vmt_text_options *options);

/* Who the process was, when it began, how long it took and how it ended; what it went on as. */
void vmt_text_process(const struct vmt_report *report, const struct vmt_text_options *options);

/* `, calls itself "TITLE"`, or nothing where it never changed its command line. */
const char *vmt_text_titled(const struct vmt_layout *layout, const struct vmt_report *report,
			    char *text, size_t text_bytes);

/* How the process ended, in some words for the middle of a sentence. */
void vmt_text_end(const struct vmt_report *report, char *text, size_t text_bytes);

/* Of a process that was killed or still runs: which call sites held more and more before. */
void vmt_text_growth(const struct vmt_report *report, const struct vmt_text_options *options);

/* Of glibc's malloc: what it holds beside live blocks, and which of these keep it. */
void vmt_text_retained(const struct vmt_report *report, const struct vmt_text_options *options);
/* Of that the rows of who keeps it, alone. */
void vmt_text_retained_pinning(const struct vmt_report *report,
			       const struct vmt_text_options *options);

/* Of malloc's blocks: what is live at the end, and what was freed at once. */
void vmt_text_blocks(const struct vmt_report *report, const struct vmt_text_options *options);

/* Where the sum of all rows is not what the kernel itself calls RSS: by how much. */
void vmt_text_gap(const struct vmt_report *report, const struct vmt_text_options *options);

/* How the kernel divides RSS, and what of the process it counts beside it. */
void vmt_text_kernel(const struct vmt_report *report, const struct vmt_text_options *options);

/* The memory cgroup: its limit, what filled it, whom the kernel killed there. */
void vmt_text_cgroup(const struct vmt_report *report, const struct vmt_text_options *options);

/* Where page faults were sampled: who touched what a row of sites has, below it; then a table of
 * all who did, and whose memory that was. */
void vmt_text_touch_site(const struct vmt_report *report, const struct vmt_text_options *options,
			 const struct vmt_site *site);
void vmt_text_touch(const struct vmt_report *report, const struct vmt_text_options *options);
/* How they were sampled; nothing where they were not. */
void vmt_text_touch_basis(const struct vmt_report *report, const struct vmt_text_options *options);

/* What the figures rest on, each item with a dash. */
void vmt_text_basis(const struct vmt_report *report, const struct vmt_text_options *options);

/* What was given back, and that the kernel has not taken yet; nothing where that is none. */
void vmt_text_lazily_freed(const struct vmt_report *report, const struct vmt_text_options *options);

/* Every advice, and what a Go runtime's was for. */
void vmt_text_advice(const struct vmt_report *report, const struct vmt_text_options *options);

/* Of a process with a Go runtime: whose RSS is; nothing for others. */
void vmt_text_go_shares(const struct vmt_report *report, const struct vmt_text_options *options);

/* What paces its collections, and what to make of RSS: sentences alone, below the table. */
void vmt_text_go_sentences(const struct vmt_report *report, const struct vmt_text_options *options);

/* What the runtime counts, what is mapped, what is resident. */
void vmt_text_go(const struct vmt_report *report, const struct vmt_text_options *options);

/* Goroutines' stacks, by the go statement that started them. */
void vmt_text_go_stacks(const struct vmt_report *report, const struct vmt_text_options *options);

/* Live objects, by the Go line that allocated them. */
void vmt_text_go_live(const struct vmt_report *report, const struct vmt_text_options *options);

/* Large objects likewise, where a part of them has no page. */
void vmt_text_go_large(const struct vmt_report *report, const struct vmt_text_options *options);
void vmt_text_mappings(const struct vmt_report *report, const struct vmt_text_options *options);

#endif
