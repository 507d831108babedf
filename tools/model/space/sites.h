/*
 * sites.h: what each call site reserved and released.
 *
 * A site is a kind of call, a stack and, for advice, which advice. Where the modules at the stack's
 * addresses have changed (dlclose, then dlopen of another file), the same stack id means other
 * code: that is another variant, a site of its own. Each frame remembers its module span
 * (module_history.h) of its time. Frames whose module is not known when the site is first seen are
 * looked up again at the next loads: constructors run before dlopen returns, and so before the
 * MODULE_LOAD event.
 *
 * The index is a table of its own, since every event asks it: a look-up among 20,000 keys took 12
 * ns, with hash_table.h 25 ns, and its entries can be fetched ahead.
 *
 * Figures are bytes. Exact ones are whole numbers; estimates from samples are kept apart, as
 * doubles, and rounded when they are read. One thread at a time. 0 or -ENOMEM.
 */
#ifndef VMT_SITES_H
#define VMT_SITES_H

#include "tools/model/space/module_history.h"

/* Frames of a stack id, innermost first, NULL where there is none. */
struct vmt_stack_source {
	const uint64_t *(*stack)(void *context, uint32_t id, uint32_t *frames);
	void *context;
};

enum vmt_figure {
	/* over the whole run */
	VMT_FIGURE_COUNT,
	VMT_FIGURE_TOTAL_RESERVED,
	VMT_FIGURE_RELEASED,
	VMT_FIGURE_RELEASED_COMMITTED,
	VMT_FIGURE_HELD_BEFORE, /* reserved and not released at vmt_sites_mark */
	VMT_FIGURE_TEMPORARY,	/* blocks: temporary_blocks.h */
	/* at the snapshot */
	VMT_FIGURE_LIVE_COUNT,
	VMT_FIGURE_RESERVED,
	VMT_FIGURE_ACCESSIBLE,
	VMT_FIGURE_COMMITTED,
	VMT_FIGURE_SWAPPED,
	VMT_FIGURE_UNTOUCHED,
	VMT_FIGURE_HUGETLB,
	VMT_FIGURE_SHARED, /* of committed: in other mappings too */
	VMT_FIGURE_HUGE,   /* of advice alone */
	VMT_FIGURE_PINS,   /* free memory of malloc that its live blocks keep: retained.h */
	/* up to the snapshot */
	VMT_FIGURE_UNSHARED, /* of touchers alone: first written to by them after a fork */
	/* over the whole run */
	VMT_FIGURE_CAME_BACK, /* of advice alone: pages that left this process */
	VMT_FIGURE_STAYED,    /* of advice alone: of those, shared ones: their file keeps them */
	VMT_FIGURE_OF_FILES,  /* of advice alone: of those, what was of private mappings of files */
	VMT_FIGURE_FAILED, /* of advice alone: calls that the kernel refused, in no other figure */
	/* at the end of the trace, of blocks alone */
	VMT_FIGURE_END_COUNT,
	VMT_FIGURE_END_BYTES,
	/* of the first two of the run, what was between two moments: vmt_sites_begin_part */
	VMT_FIGURE_SINCE_RESERVED,
	VMT_FIGURE_SINCE_RELEASED,
	VMT_FIGURE_SINCE_CAME_BACK, /* of CAME_BACK */
	VMT_FIGURE_MISSED_RESERVED,
	VMT_FIGURES,
};

struct vmt_site_key {
	uint32_t stack;
	uint16_t advice; /* of MADVISE, or how: of FILE_RELEASE and MLOCK; else 0, or a thread */
	uint8_t kind;	 /* enum vmt_event_kind */
};

/* What every event of the heap touches comes first: one cache line of a site. */
struct vmt_site_entry {
	struct vmt_site_key key;
	uint32_t era;	 /* in which the spans were last compared */
	uint32_t newest; /* of the first variant alone: the one last used */
	uint64_t exact[VMT_FIGURES];
	double estimate[VMT_FIGURES];
	uint64_t first_span; /* in the pool of spans, one for each frame */
	uint64_t class_lead_bytes;
	uint32_t frames;
	uint8_t class;	/* enum vmt_class_id of most bytes at the snapshot, where class_lead_bytes >
			   0 */
	bool estimated; /* some figure is an estimate */
	bool sampled;	/* RELEASED_COMMITTED is: the pages of some release were sampled */
	bool least;	/* UNSHARED is: of some pages it is not known */
	bool pending;	/* a frame without a module, that the next loads may explain */
} __attribute__((aligned(64)));

static inline bool
vmt_sites_is_same_key(struct vmt_site_key left, struct vmt_site_key right)
{
	return left.stack == right.stack && left.kind == right.kind && left.advice == right.advice;
}

#define VMT_SITE_NONE UINT32_MAX

struct vmt_sites;

struct vmt_sites *vmt_sites_new(struct vmt_module_history *history, struct vmt_stack_source source);
void vmt_sites_free(struct vmt_sites *sites);

/* The site of a call that happens now. */
int vmt_sites_intern(struct vmt_sites *sites, struct vmt_site_key key, uint32_t *site);

/* Bring into the caches what a site will need, in this order: its place in the index, then its
 * figures by its key, or by the site itself (NONE: nothing). */
void vmt_sites_expect(const struct vmt_sites *sites, struct vmt_site_key key);
void vmt_sites_expect_soon(const struct vmt_sites *sites, struct vmt_site_key key);
void vmt_sites_expect_entry(const struct vmt_sites *sites, uint32_t site);

/* The variant that vmt_sites_merge adds a site's figures to; the site itself where it is the first
 * of its code. */
uint32_t vmt_sites_merged_into(const struct vmt_sites *sites, uint32_t site);

/* After each MODULE_LOAD. */
void vmt_sites_loaded(struct vmt_sites *sites);

struct vmt_site_entry *vmt_sites_get(struct vmt_sites *sites, uint32_t site);
uint32_t vmt_sites_count(const struct vmt_sites *sites);

/* Span of each frame, or NULL where the stack has none. */
const uint32_t *vmt_sites_spans(const struct vmt_sites *sites, const struct vmt_site_entry *entry);

/* Adds what other variants have that turned out to be the same code, and empties them: their
 * figures are all zero then. Once, when the replay is over. */
void vmt_sites_merge(struct vmt_sites *sites);

/* Bytes at the snapshot that lie in a class: the entry's class is the one that has the majority,
 * where one has (Boyer and Moore 1981). */
void vmt_sites_vote_class(struct vmt_site_entry *entry, uint8_t class, uint64_t bytes);

/* Notes what each site holds now, to tell later by how much it has grown. */
void vmt_sites_mark(struct vmt_sites *sites);

/* From begin to end: what comes to a figure of the run meanwhile is the part. */
void vmt_sites_begin_part(struct vmt_sites *sites, enum vmt_figure part, enum vmt_figure of);
void vmt_sites_end_part(struct vmt_sites *sites, enum vmt_figure part, enum vmt_figure of);

/* A look at what the sites have at a snapshot, which leaves nothing behind: from keep to restore
 * each has no figure of a snapshot but those that are added, and then all is as it was. Sites made
 * between are gone. Zero it first; it can be used again, and is freed in the end. */
struct vmt_sites_kept {
	struct vmt_site_entry *entries;
	uint32_t room;
	uint32_t count;
	uint32_t pending_count;
	uint64_t spans_used;
};

int vmt_sites_keep(struct vmt_sites *sites, struct vmt_sites_kept *kept);
void vmt_sites_restore(struct vmt_sites *sites, const struct vmt_sites_kept *kept);
void vmt_sites_kept_free(struct vmt_sites_kept *kept);

/* The site of a key, the last variant used; VMT_SITE_NONE where there is none. */
uint32_t vmt_sites_find(const struct vmt_sites *sites, struct vmt_site_key key);

/* What a site has reserved and not released by now; where pages were not looked at this stands for
 * what it has reserved at the snapshot. */
uint64_t vmt_sites_held(const struct vmt_site_entry *entry);

/* Both parts of a figure, rounded, never negative. */
uint64_t vmt_sites_round(uint64_t exact, double estimate);
uint64_t vmt_sites_figure(const struct vmt_site_entry *entry, enum vmt_figure figure);

/* The most places that one look may pass. For tests. */
size_t vmt_sites_longest_way(const struct vmt_sites *sites);

#endif
