#include "tools/read/lookup_talk.h"

#include "tools/read/bounds.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEMORY_BYTES (UINT64_C(4) << 30)
#define ANSWER_SECONDS 30u

/* Where an answer is put together. */
struct draft {
	union {
		struct vmt_lookup_answer answer;
		unsigned char bytes[VMT_LOOKUP_ANSWER_BYTES];
	};
	size_t used;
};

static void
put_text(struct draft *draft, const char *text)
{
	size_t length = text ? strnlen(text, VMT_LOOKUP_TEXT_BYTES - 1) : 0;

	if (length)
		memcpy(draft->bytes + draft->used, text, length);
	draft->bytes[draft->used + length] = '\0';
	draft->used += length + 1;
}

/* Of processor time: the limit counts from the process's start, and is moved on. */
static void
limit_time(void)
{
	struct rusage used;
	struct rlimit limits;

	if (getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &limits) != 0)
		return;
	limits.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + ANSWER_SECONDS;
	if (limits.rlim_cur < limits.rlim_max)
		setrlimit(RLIMIT_CPU, &limits);
}

static void
resolve(struct draft *draft, struct vmt_symbols *symbols, const struct vmt_module *module,
	uint64_t address)
{
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED] = {{0}};
	size_t count = vmt_symbols_resolve(symbols, module, address, frames);

	draft->answer.count = (uint32_t)count;
	draft->answer.has_debug = vmt_symbols_has_debug(symbols, module);
	put_text(draft, vmt_symbols_trouble(symbols, module));
	for (size_t i = 0; i < count; i++) {
		draft->answer.frames[i].line = frames[i].line;
		draft->answer.frames[i].inlined = frames[i].inlined;
		draft->answer.frames[i].is_go = frames[i].is_go;
		put_text(draft, frames[i].function);
		put_text(draft, frames[i].file);
	}
}

static void
answer(struct draft *draft, struct vmt_symbols *symbols, const unsigned char *bytes)
{
	struct vmt_lookup_question question;
	struct vmt_module module;
	const char *variable;

	memcpy(&question, bytes, sizeof(question));
	bytes += sizeof(question);
	module = (struct vmt_module){.build_id = bytes,
				     .build_id_bytes = question.build_id_bytes,
				     .path = (const char *)bytes + question.build_id_bytes,
				     .path_bytes = question.path_bytes};
	variable = module.path + question.path_bytes;
	if (question.distrust)
		vmt_symbols_distrust(symbols, &module);
	memset(draft, 0, sizeof(*draft));
	draft->used = sizeof(draft->answer);
	if (question.kind == VMT_LOOKUP_RESOLVE) {
		resolve(draft, symbols, &module, question.address);
		return;
	}
	draft->answer.found = vmt_symbols_go_member(
	    symbols, &module, variable, variable + question.variable_bytes, &draft->answer.place);
	put_text(draft, NULL);
}

void
vmt_lookup_serve(int socket)
{
	static unsigned char question[VMT_LOOKUP_QUESTION_BYTES];
	static struct draft draft;
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct rlimit none = {0, 0};
	/* The parent may catch them to tell of its own mistakes. */
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &none);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		signal(fatal[i], SIG_DFL);
	vmt_bounds_memory(MEMORY_BYTES);
	while (symbols && recv(socket, question, sizeof(question), 0) >=
			      (ssize_t)sizeof(struct vmt_lookup_question)) {
		limit_time();
		answer(&draft, symbols, question);
		if (send(socket, draft.bytes, draft.used, MSG_NOSIGNAL) != (ssize_t)draft.used)
			break;
	}
	/* What the parent had not printed yet is the parent's to print. */
	_exit(0);
}
