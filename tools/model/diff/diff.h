/*
 * diff.h: the data of a diff.
 *
 * Classes are matched by name, sites by symbolised stack (diff_key.h); several sites of one report
 * that fall on one key are added up. Plain data in bytes, no text. A diff points into both reports,
 * which must outlive it; freed by vmt_diff_free. One thread at a time.
 *
 * "Own" totals leave out the class "vmtrace": rings and stack tables are as large as their options
 * say, and are no finding about the program.
 *
 * Errors of estimates. A block of b bytes is sampled with probability 1 - exp(-b/S), and then
 * stands for b / (1 - exp(-b/S)) bytes; the variance of a sum is at most S times the sum. So
 * error_bytes = 2 sqrt(S_a a + S_b b), two standard deviations, an upper bound where large blocks,
 * which are always recorded, are among them.
 */
#ifndef VMT_DIFF_H
#define VMT_DIFF_H

#include "tools/model/report/report.h"

/* The class that is left out of own totals. */
#define VMT_DIFF_TRACER_CLASS VMT_REPORT_TRACER_CLASS

struct vmt_diff_figure {
	uint64_t a;
	uint64_t b;
};

struct vmt_diff_class {
	const char *name;
	struct vmt_diff_figure reserved_bytes;
	struct vmt_diff_figure accessible_bytes;
	struct vmt_diff_figure committed_bytes;
	struct vmt_diff_figure swapped_bytes;
	struct vmt_diff_figure never_touched_bytes;
	struct vmt_diff_figure hugetlb_bytes;
	struct vmt_diff_figure shared_bytes; /* VMT_FIGURE_UNKNOWN where not known */
	bool estimate;
	uint64_t error_bytes; /* of the difference of committed; 0 where it is exact */
};

/* In which round two sites were found to be one; or that there is no other. */
enum vmt_diff_match {
	VMT_DIFF_EXACT,
	VMT_DIFF_INLINING,
	VMT_DIFF_RUNTIME,
	VMT_DIFF_GO,
	VMT_DIFF_INNERMOST,
	VMT_DIFF_NEW,
	VMT_DIFF_GONE,
};

/* A call site of one of the reports. */
struct vmt_diff_member {
	const struct vmt_site *site;
	bool of_b;
};

struct vmt_diff_site {
	const char *kind;
	enum vmt_diff_match match;
	struct vmt_diff_figure count;
	struct vmt_diff_figure live_count;
	struct vmt_diff_figure reserved_bytes;
	struct vmt_diff_figure committed_bytes;
	struct vmt_diff_figure swapped_bytes;
	struct vmt_diff_figure never_touched_bytes;
	struct vmt_diff_figure hugetlb_bytes;
	struct vmt_diff_figure total_reserved_bytes;
	struct vmt_diff_figure released_bytes;
	/* Of malloc's blocks, as in struct vmt_site; else VMT_FIGURE_UNKNOWN. */
	struct vmt_diff_figure end_count;
	struct vmt_diff_figure end_bytes;
	struct vmt_diff_figure temporary_count;
	bool estimate;
	uint64_t error_bytes;	      /* as above */
	const struct vmt_site *shown; /* its frames: the largest of B, or of A where gone */
	/* What the row joins. What is known of its names holds for shown_bytes of the side_bytes
	   that its sites of shown's report have (committed, or reserved where none is). */
	struct vmt_diff_member *members;
	size_t member_count;
	uint64_t shown_bytes;
	uint64_t side_bytes;
};

/* docs/man/vmtrace-diff.1.scd has them for users. */
enum vmt_diff_kind {
	VMT_DIFF_UNKNOWN,      /* one of the two has no snapshot, or both are one */
	VMT_DIFF_SAME,	       /* nothing beyond what two runs of one program differ by */
	VMT_DIFF_MOVED,	       /* committed is the same, others own it */
	VMT_DIFF_MORE_TOUCHED, /* reserved flat, committed up */
	VMT_DIFF_LESS_TOUCHED,
	VMT_DIFF_GROWN, /* reserved and committed up */
	VMT_DIFF_SHRUNK,
	VMT_DIFF_MORE_RESERVED, /* reserved up, committed flat */
	VMT_DIFF_LESS_RESERVED,
};

struct vmt_diff_verdict {
	enum vmt_diff_kind kind;
	uint64_t committed_noise_bytes; /* differences of totals up to these say nothing */
	uint64_t reserved_noise_bytes;
	/* What changed most in the direction of the whole; NULL where nothing did. */
	const struct vmt_diff_class *main_class;
	const struct vmt_diff_site *main_site;
	/* MOVED alone. Sites where they explain it, else classes. */
	uint64_t moved_bytes;
	const struct vmt_diff_class *from_class;
	const struct vmt_diff_class *to_class;
	const struct vmt_diff_site *from_site;
	const struct vmt_diff_site *to_site;
};

/* Why a Go program has more in RAM, or less. */
enum vmt_diff_go_cause {
	VMT_DIFF_GO_UNKNOWN,
	VMT_DIFF_GO_LIVE,    /* objects that a last collection found to be live */
	VMT_DIFF_GO_GARBAGE, /* objects that it did not, or that are younger */
	VMT_DIFF_GO_OBJECTS, /* it is not known which, or not by what Go counts */
	VMT_DIFF_GO_TOUCHED, /* as many objects, but another part of them is in RAM */
	VMT_DIFF_GO_FREE_SLOTS,
	VMT_DIFF_GO_STACKS,
	VMT_DIFF_GO_IDLE,
	VMT_DIFF_GO_RELEASED,
	VMT_DIFF_GO_METADATA,
	VMT_DIFF_GO_MALLOC,
	VMT_DIFF_GO_OUTSIDE,
};

struct vmt_diff_go {
	bool is_known; /* false: not of both is known what their heaps are used for */
	struct vmt_diff_figure parts[VMT_GO_PARTS]; /* of RSS */
	struct vmt_diff_figure objects_bytes;	    /* as Go counts them, in RAM or not */
	struct vmt_diff_figure fresh_bytes; /* in RAM, of large objects whose memory came fresh from
					       the kernel */
	struct vmt_diff_figure reused_bytes; /* ... whose memory Go had used before */
	bool has_counts;		     /* of what is live, and what is not */
	struct vmt_diff_figure live_bytes;
	struct vmt_diff_figure young_bytes; /* younger than the last collection, or garbage by it */
	enum vmt_diff_go_cause cause;	    /* of most of the change of RSS */
	enum vmt_go_part cause_part;
	uint64_t change_bytes; /* of RSS, up or down */
};

/* Traces of what a process continued as by exec; NULL or "" where none is found. Borrowed. */
struct vmt_diff_continuation {
	const char *next;
	const char *last;
};

/* All that is private and has no file, where it is not told apart further. */
#define VMT_DIFF_PRIVATE_CLASS "private memory"

struct vmt_diff {
	bool is_by_kind; /* one of them is a snapshot, which knows no call: sites are left out, and
			  * classes that are told by calls are one, VMT_DIFF_PRIVATE_CLASS */
	const struct vmt_report *a;
	const struct vmt_report *b;
	struct {
		struct vmt_diff_figure reserved_bytes;	/* own */
		struct vmt_diff_figure committed_bytes; /* own */
		struct vmt_diff_figure rss_bytes;	/* the kernel's, all */
		struct vmt_diff_figure virtual_bytes;	/* the kernel's, all */
		struct vmt_diff_figure swap_bytes;
		struct vmt_diff_figure huge_bytes;   /* VMT_FIGURE_UNKNOWN where not read */
		struct vmt_diff_figure shared_bytes; /* likewise */
		struct vmt_diff_figure never_touched_bytes;
		/* What advice, holes and ftruncate took in the whole run; what of it stayed in
		   files and segments. */
		struct vmt_diff_figure taken_bytes;
		struct vmt_diff_figure stayed_bytes;
		uint64_t skew_bytes; /* of both snapshots together */
		/* How far RSS rose above the snapshots that are to show the peaks; 0 where they
		   are to show another moment. */
		struct vmt_diff_figure missed_bytes;
	} totals;
	/* By |difference of committed|, then of reserved, largest first. */
	struct vmt_diff_class *classes;
	size_t class_count;
	struct vmt_diff_site *sites;
	size_t site_count;
	struct vmt_diff_member *members; /* of all sites */
	/* Who touched memory, as a diff whose sites are touchers; NULL unless page faults were
	 * sampled in both. Its reports are these in all but the sites. */
	struct vmt_diff *touch;
	struct vmt_report *touch_reports;
	/* Live objects by Go line, likewise; NULL unless both reports know them. */
	struct vmt_diff *live;
	struct vmt_report *live_reports;
	/* Large objects by Go line, of those that Go has sampled, likewise. */
	struct vmt_diff *large;
	struct vmt_report *large_reports;
	/* By default: of a process that runs, and so not of its peak. */
	struct {
		bool a;
		bool b;
	} is_now;
	struct vmt_diff_continuation continues_a;
	struct vmt_diff_continuation continues_b;
	struct vmt_diff_verdict verdict;
	struct vmt_diff_go go;
};

void vmt_diff_free(struct vmt_diff *diff);

/* By |difference of committed|, then of reserved, largest first. */
void vmt_diff_sort_classes(struct vmt_diff_class *classes, size_t count);
void vmt_diff_sort_sites(struct vmt_diff_site *sites, size_t count);
/* What a site weighs beside others of its row: see shown_bytes. */
uint64_t vmt_diff_weight(const struct vmt_diff_site *row, const struct vmt_site *site, bool of_b);

/* Two standard deviations of the difference of two estimates; the formula is above. */
uint64_t vmt_diff_error(const struct vmt_diff *diff, double estimated_a, double estimated_b);

/* Whether the process of a side replaced itself with another program. */
bool vmt_diff_is_replaced(const struct vmt_report *report);
/* Whether A and B are of one trace; of one snapshot of it. */
bool vmt_diff_is_one_trace(const struct vmt_diff *diff);
bool vmt_diff_is_one_snapshot(const struct vmt_diff *diff);

/* b - a. */
int64_t vmt_diff_delta(const struct vmt_diff_figure *figure);
/* A sum of which a part is not known is not known. */
uint64_t vmt_diff_add_known(uint64_t sum, uint64_t part);
/* |b - a|. */
uint64_t vmt_diff_distance(const struct vmt_diff_figure *figure);
/* "exact", "inlining", "runtime", "go", "innermost", "new", "gone". */
const char *vmt_diff_match_word(enum vmt_diff_match match);
/* "same", "moved", "more-touched", ... */
const char *vmt_diff_kind_word(enum vmt_diff_kind kind);
/* "live objects", "untouched objects", ...; NULL of VMT_DIFF_GO_UNKNOWN. */
const char *vmt_diff_go_cause_word(enum vmt_diff_go_cause cause);

#endif
