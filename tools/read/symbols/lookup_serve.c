#include "tools/memory_limit.h"
#include "tools/read/symbols/lookup_protocol.h"
#include "tools/read/symbols/sandbox.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where a packet is put together. */
struct draft {
	size_t used;
	unsigned char bytes[VMT_LOOKUP_PACKET_BYTES];
};

static void
put(struct draft *draft, const void *bytes, size_t length)
{
	memcpy(draft->bytes + draft->used, bytes, length);
	draft->used += length;
}

static void
put_text(struct draft *draft, const char *text)
{
	size_t length = text ? strnlen(text, VMT_LOOKUP_TEXT_BYTES - 1) : 0;

	if (length)
		put(draft, text, length);
	put(draft, "", 1);
}

/* Of processor time: the limit counts from the process's start, and is moved on. */
static void
limit_time(uint32_t seconds)
{
	struct rusage used;
	struct rlimit limits;

	if (getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &limits) != 0)
		return;
	limits.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + seconds;
	if (limits.rlim_cur < limits.rlim_max)
		setrlimit(RLIMIT_CPU, &limits);
}

static void
resolve(struct draft *draft, struct vmt_symbols *symbols, const struct vmt_module *module,
	uint64_t address)
{
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED] = {{0}};
	size_t count = vmt_symbols_resolve(symbols, module, address, frames);
	struct vmt_lookup_answer answer = {.count = (uint32_t)count,
					   .has_debug = vmt_symbols_has_debug(symbols, module)};

	put(draft, &answer, sizeof(answer));
	for (size_t i = 0; i < count; i++) {
		struct vmt_lookup_frame frame = {
		    .line = frames[i].line, .inlined = frames[i].inlined, .is_go = frames[i].is_go};

		put(draft, &frame, sizeof(frame));
	}
	put_text(draft, vmt_symbols_trouble(symbols, module));
	for (size_t i = 0; i < count; i++) {
		put_text(draft, frames[i].function);
		put_text(draft, frames[i].file);
	}
}

static void
find_member(struct draft *draft, struct vmt_symbols *symbols, const struct vmt_module *module,
	    const char *variable, const char *path)
{
	struct vmt_lookup_answer answer = {.count = 0};

	answer.found = vmt_symbols_go_member(symbols, module, variable, path, &answer.place);
	answer.has_debug = vmt_symbols_has_debug(symbols, module);
	put(draft, &answer, sizeof(answer));
	put_text(draft, vmt_symbols_trouble(symbols, module));
}

static void
answer(struct draft *draft, struct vmt_symbols *symbols, const struct vmt_module *module,
       const unsigned char *bytes)
{
	const char *texts = (const char *)bytes + sizeof(struct vmt_lookup_question);
	struct vmt_lookup_question question;

	memcpy(&question, bytes, sizeof(question));
	draft->used = 0;
	if (question.kind == VMT_LOOKUP_RESOLVE)
		resolve(draft, symbols, module, question.address);
	else
		find_member(draft, symbols, module, texts, texts + question.variable_bytes);
}

/* Nothing of the parent's is within reach: its files, its other children's sockets. */
static void
drop_descriptors(unsigned kept)
{
	if (kept > 0)
		syscall(SYS_close_range, 0, kept - 1, 0);
	syscall(SYS_close_range, kept + 1, ~0U, 0);
}

static void
bound(const struct vmt_lookup_limits *limits)
{
	static const struct rlimit none = {0, 0};
	/* The parent may catch them to tell of its own mistakes. */
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &none);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		signal(fatal[i], SIG_DFL);
	vmt_memory_limit_set(limits->memory_bytes);
	limit_time(limits->cpu_seconds);
}

static bool
say(int socket, const struct draft *draft)
{
	return send(socket, draft->bytes, draft->used, MSG_NOSIGNAL) == (ssize_t)draft->used;
}

void
vmt_lookup_serve(int socket, const char *root, const struct vmt_recorded_files *recorded,
		 const struct vmt_module *module, enum vmt_lookup_trust trust,
		 const struct vmt_lookup_limits *limits)
{
	static unsigned char question[VMT_LOOKUP_QUESTION_BYTES];
	static struct draft draft;
	struct vmt_symbols *symbols = vmt_symbols_new();
	bool going;

	if (symbols) {
		vmt_symbols_set_root(symbols, root);
		vmt_symbols_set_recorded(symbols, recorded);
	}
	bound(limits);
	drop_descriptors((unsigned)socket);
	going = symbols && vmt_symbols_open(symbols, module, trust != VMT_LOOKUP_TRUST_ALL);
	vmt_sandbox_enter();
	while (going && recv(socket, question, sizeof(question), 0) >=
			    (ssize_t)sizeof(struct vmt_lookup_question)) {
		limit_time(limits->cpu_seconds);
		answer(&draft, symbols, module, question);
		going = say(socket, &draft);
	}
	/* What the parent had not printed yet is the parent's to print. */
	_exit(0);
}
