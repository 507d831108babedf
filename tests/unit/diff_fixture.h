/*
 * Two reports to compare, written row by row.
 *
 * A stack is text, innermost frame first: "alloc! grow@libx.so.1 main ?", where ! is an inlined
 * frame, @ gives the module (else the program), ? a frame without a name.
 */
#ifndef VMT_DIFF_FIXTURE_H
#define VMT_DIFF_FIXTURE_H

#include "format/chunk.h"
#include "tools/model/diff/diff_build.h"
#include "tools/render/diff_headline.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB(n) ((uint64_t)(n) << 20)
#define KIB(n) ((uint64_t)(n) << 10)

struct pair_side {
	struct vmt_report report;
	struct vmt_site sites[16];
	struct vmt_class classes[8];
	struct vmt_frame frames[16][12];
	char text[16][512];
	char exe[32];
};

struct pair {
	struct pair_side a;
	struct pair_side b;
};

static char pair_file[] = "/src/main.go";

static inline void
pair_side_begin(struct pair_side *side, const char *exe)
{
	struct vmt_report *report = &side->report;

	memset(side, 0, sizeof(*side));
	snprintf(side->exe, sizeof(side->exe), "%s", exe);
	report->process.pid = 7;
	report->process.exe = side->exe;
	report->process.cmdline = side->exe;
	report->process.end = "exit";
	report->snapshot.taken = true;
	report->snapshot.huge_bytes = VMT_FIGURE_UNKNOWN;
	report->snapshot.source = "pagemap-scan";
	report->coverage.stacks = "dwarf";
	report->coverage.malloc_mode = "all";
	report->coverage.malloc_sample_bytes = 65536;
	report->sites = side->sites;
	report->classes = side->classes;
}

static inline void
pair_begin(struct pair *pair)
{
	pair_side_begin(&pair->a, "/old/server-1.23");
	pair_side_begin(&pair->b, "/new/server-1.24");
}

static inline void
pair_frame(struct pair_side *side, struct vmt_frame *frame, char *word, size_t index)
{
	char *module = strchr(word, '@');
	char *inlined;

	if (module)
		*module++ = '\0';
	inlined = strchr(word, '!');
	if (inlined)
		*inlined = '\0';
	*frame = (struct vmt_frame){.function = strcmp(word, "?") == 0 ? NULL : word,
				    .file = pair_file,
				    .line = side->exe[1] == 'o' ? 10 : 20,
				    .module = module ? module : side->exe,
				    .module_offset = (side->exe[1] == 'o' ? 0x100 : 0x200) + index,
				    .inlined = inlined != NULL};
}

static inline struct vmt_site *
pair_site(struct pair_side *side, const char *kind, const char *stack, uint64_t reserved,
	  uint64_t committed)
{
	size_t n = side->report.site_count++;
	struct vmt_site *site = &side->sites[n];
	char *rest = NULL;

	assert(n < 16 && strlen(stack) < sizeof(side->text[n]));
	snprintf(side->text[n], sizeof(side->text[n]), "%s", stack);
	*site = (struct vmt_site){.kind = kind,
				  .stack_id = (uint32_t)n,
				  .count = 1,
				  .live_count = 1,
				  .reserved_bytes = reserved,
				  .committed_bytes = committed,
				  .total_reserved_bytes = reserved,
				  .stack.frames = side->frames[n]};
	for (char *word = strtok_r(side->text[n], " ", &rest); word;
	     word = strtok_r(NULL, " ", &rest)) {
		assert(site->stack.count < 12);
		pair_frame(side, &side->frames[n][site->stack.count], word, site->stack.count);
		site->stack.count++;
	}
	return site;
}

/* Keeps the snapshot's sums true. */
static inline void
pair_class(struct pair_side *side, const char *name, uint64_t reserved, uint64_t committed)
{
	assert(side->report.class_count < 8);
	side->classes[side->report.class_count++] =
	    (struct vmt_class){.name = name,
			       .reserved_bytes = reserved,
			       .accessible_bytes = reserved,
			       .committed_bytes = committed};
	side->report.snapshot.virtual_bytes += reserved;
	side->report.snapshot.rss_bytes += committed;
}

static inline struct vmt_diff *
pair_diff_at(const struct pair *pair, enum vmt_report_at at)
{
	struct vmt_err err = {""};
	struct vmt_diff *diff = NULL;
	int result = vmt_diff_build(&diff, &pair->a.report, &pair->b.report, at, &err);

	assert(result == 0 && diff);
	(void)result;
	return diff;
}

static inline struct vmt_diff *
pair_diff(const struct pair *pair)
{
	return pair_diff_at(pair, VMT_AT_PLATEAU);
}

static inline void
pair_expect_headline(const struct pair *pair, const char *expected)
{
	struct vmt_diff *diff = pair_diff(pair);
	char text[2048];

	vmt_diff_headline_write(diff, text, sizeof(text));
	assert_string_equal(text, expected);
	vmt_diff_free(diff);
}

#endif
