/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_store_faults.c - the k-th call to the system fails, for each k and in each way, and then the
 * power may go
 *
 * Room: a layer under SQLite (sqlite3_vfs) that fails calls, and knows of each file what a loss of
 * power would leave: what an fsync that failed was to cover is not there, whatever later ones say.
 * What was acknowledged as durable must be found, what was refused must not be seen, and when
 * calls succeed again writes must, without a restart.
 */
#include "lib/testlib.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <netd/store/store.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOW_MS  1700000000000
#define WRITES  10
#define RANGES  4096

enum call { WRITE = 1, SYNC = 2, TRUNCATE = 4, SHM = 8 };

/* The layer has no argument to carry state in, hence this. */
static struct {
	sqlite3_vfs *real, vfs;
	sqlite3_io_methods methods;
	unsigned calls;             /* of these kinds the k-th fails, and */
	long left;
	bool lasting;               /* ... all after it, until healed */
	bool failing, hit;
	int rc, errnum;
} layer;

struct image {
	char *data;                 /* what is on the disk */
	sqlite3_int64 size;
	struct { sqlite3_int64 from, to; } dirty[RANGES];
	unsigned n;
};

struct file {
	sqlite3_file base;
	struct image *image;        /* NULL: a file that a loss of power may take */
	char name[128];
	sqlite3_file *real;
};

static struct image images[2];      /* database and log; shared by all connections */
static char image_names[2][128];

/* The writer tidies up while the test goes on; who holds this to the end has cut the power. */
static pthread_mutex_t power = PTHREAD_MUTEX_INITIALIZER;

static pthread_mutex_t *take_power(void)
{
	pthread_mutex_lock(&power);
	return &power;
}

static void give_power(pthread_mutex_t **held)
{
	pthread_mutex_unlock(*held);
}

#define POWERED _cleanup_(give_power) __attribute__((unused)) pthread_mutex_t *held = take_power()

static struct file *of(sqlite3_file *f)
{
	return (struct file *)f;
}

static bool fails(enum call call)
{
	if (!(layer.calls & call))
		return false;
	if (!layer.failing && (layer.left <= 0 || --layer.left > 0))
		return false;
	layer.hit = true;
	layer.failing = layer.lasting;
	errno = layer.errnum;
	return true;
}

static void heal(void)
{
	POWERED;
	layer.failing = false;
	layer.left = 0;
}

static void image_keep(struct image *im, sqlite3_int64 from, sqlite3_int64 to, const char *data)
{
	if (to > im->size) {
		im->data = realloc(im->data, (size_t)to);
		memset(im->data + im->size, 0, (size_t)(to - im->size));
		im->size = to;
	}
	memcpy(im->data + from, data, (size_t)(to - from));
}

static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	POWERED;
	struct image *im = of(f)->image;

	if (fails(WRITE))
		return layer.rc;
	if (im) {
		assert_true(im->n < RANGES);
		im->dirty[im->n].from = at;
		im->dirty[im->n++].to = at + n;
	}
	return of(f)->real->pMethods->xWrite(of(f)->real, p, n, at);
}

static int shim_sync(sqlite3_file *f, int flags)
{
	POWERED;
	struct image *im = of(f)->image;
	bool failed = fails(SYNC);
	char buf[8192];
	unsigned i;

	for (i = 0; im && !failed && i < im->n; i++) {
		sqlite3_int64 from = im->dirty[i].from, to = im->dirty[i].to;

		of(f)->real->pMethods->xRead(of(f)->real, buf, (int)(to - from), from);
		image_keep(im, from, to, buf);
	}
	if (im)
		im->n = 0;          /* clean, so the kernel says, also after a failure */
	(void)flags;                /* the real disk's power stays, so it need not be asked */
	return failed ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	POWERED;
	struct image *im = of(f)->image;

	if (fails(TRUNCATE))
		return layer.rc;
	if (im && im->size > size)
		im->size = size;
	return of(f)->real->pMethods->xTruncate(of(f)->real, size);
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
	POWERED;
	if (extend && fails(SHM))
		return layer.rc;
	return of(f)->real->pMethods->xShmMap(of(f)->real, page, size, extend, ret);
}

#define PASS(name, args, call) \
	static int shim_##name args { return of(f)->real->pMethods->call; }
PASS(read, (sqlite3_file *f, void *p, int n, sqlite3_int64 at), xRead(of(f)->real, p, n, at))
PASS(size, (sqlite3_file *f, sqlite3_int64 *ret), xFileSize(of(f)->real, ret))
PASS(lock, (sqlite3_file *f, int how), xLock(of(f)->real, how))
PASS(unlock, (sqlite3_file *f, int how), xUnlock(of(f)->real, how))
PASS(reserved, (sqlite3_file *f, int *ret), xCheckReservedLock(of(f)->real, ret))
PASS(control, (sqlite3_file *f, int op, void *arg), xFileControl(of(f)->real, op, arg))
PASS(sector, (sqlite3_file *f), xSectorSize(of(f)->real))
PASS(device, (sqlite3_file *f), xDeviceCharacteristics(of(f)->real))
PASS(shm_lock, (sqlite3_file *f, int at, int n, int flags), xShmLock(of(f)->real, at, n, flags))
PASS(shm_unmap, (sqlite3_file *f, int del), xShmUnmap(of(f)->real, del))

static void shim_shm_barrier(sqlite3_file *f)
{
	of(f)->real->pMethods->xShmBarrier(of(f)->real);
}

static int shim_close(sqlite3_file *f)
{
	return of(f)->real->pMethods->xClose(of(f)->real);
}

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct file *file = of(f);
	int rc;

	(void)vfs;
	memset(file, 0, sizeof(*file));
	file->real = (sqlite3_file *)(file + 1);
	rc = layer.real->xOpen(layer.real, name, file->real, flags, out);
	if (rc != SQLITE_OK)
		return rc;
	file->base.pMethods = &layer.methods;
	for (int i = 0; name && i < 2; i++)
		if (strcmp(name, image_names[i]) == 0)
			file->image = &images[i];
	return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	POWERED;
	(void)vfs;
	for (int i = 0; i < 2; i++)
		if (strcmp(name, image_names[i]) == 0)
			images[i].size = images[i].n = 0;
	return layer.real->xDelete(layer.real, name, sync);
}

static int shim_last_error(sqlite3_vfs *vfs, int n, char *text)
{
	POWERED;
	(void)vfs;
	return layer.hit && layer.errnum ? layer.errnum
	       : layer.real->xGetLastError(layer.real, n, text);
}

static int start(void **state)
{
	(void)state;
	layer.real = sqlite3_vfs_find(NULL);
	layer.vfs = *layer.real;
	layer.vfs.zName = "failing";
	layer.vfs.pNext = NULL;
	layer.vfs.szOsFile = (int)sizeof(struct file) + layer.real->szOsFile;
	layer.vfs.xOpen = shim_open;
	layer.vfs.xDelete = shim_delete;
	layer.vfs.xGetLastError = shim_last_error;
	layer.methods = (sqlite3_io_methods){
		.iVersion = 2, .xClose = shim_close, .xRead = shim_read, .xWrite = shim_write,
		.xTruncate = shim_truncate, .xSync = shim_sync, .xFileSize = shim_size,
		.xLock = shim_lock, .xUnlock = shim_unlock, .xCheckReservedLock = shim_reserved,
		.xFileControl = shim_control, .xSectorSize = shim_sector,
		.xDeviceCharacteristics = shim_device, .xShmMap = shim_shm_map,
		.xShmLock = shim_shm_lock, .xShmBarrier = shim_shm_barrier,
		.xShmUnmap = shim_shm_unmap,
	};
	return sqlite3_vfs_register(&layer.vfs, 1) == SQLITE_OK ? 0 : -1;
}

/* What the run has come to, written by the child that runs and is gone. */
struct outcome {
	bool hit, over;
	char said[128];             /* what went wrong in the run itself */
	int rc;                     /* of the refused write, and which it was */
	unsigned refused;
	enum { NEVER, REFUSED, SOFT, DURABLE } write[WRITES];
};

struct world {
	char dir[64], path[96], error[STORE_WORDS];
	struct loop *loop;
	struct store *store;
	struct outcome *out;
	unsigned waiting;
	int rc;
	bool seen[WRITES];
};

static int open_store(struct world *w)
{
	struct store_config conf = { .path = w->path, .loop = w->loop, .now_ms = NOW_MS,
				     .history_events = 10 };

	return store_open(&conf, &w->store, w->error);
}

static void on_done(struct store_batch *b)
{
	struct world *w = b->arg;

	w->rc = b->rc;
	snprintf(w->error, sizeof(w->error), "%s", b->error);
	bytes_unref(b->ops[0].bytes);
	arena_fini(&b->arena);
	free(b);
	if (--w->waiting == 0)
		loop_stop(w->loop);
}

static int put(struct world *w, unsigned i, bool soft)
{
	struct store_batch *b = calloc(1, sizeof(*b));
	char filler[6000];

	memset(filler, 'x', sizeof(filler));
	b->arg = w;
	b->done = on_done;
	b->soft = soft;
	b->n = 1;
	b->ops = arena_alloc(&b->arena, sizeof(*b->ops));
	b->ops[0] = (struct store_op){
		.type = STORE_PUT, .kind = "pods", .ns = "default",
		.name = arena_printf(&b->arena, "o%u", i), .rev = store_next_revision(w->store),
		.bytes = bytes_new(filler, i % 4 == 3 ? sizeof(filler) : 100),
	};
	w->waiting++;
	store_submit(w->store, b);
	loop_run(w->loop);
	return w->rc;
}

static int see(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
	       const char *bytes, size_t len)
{
	struct world *w = arg;

	(void)kind, (void)ns, (void)rev, (void)bytes, (void)len;
	w->seen[strtoul(name + 1, NULL, 10)] = true;
	return 0;
}

/* All that was acknowledged and nothing that was refused; after a loss of power soft ones may go. */
static const char *compare(struct world *w, bool power_lost, bool process_lost)
{
	const struct outcome *out = w->out;
	static char text[64];

	memset(w->seen, 0, sizeof(w->seen));
	if (store_load(w->store, see, w) < 0)
		return "cannot be read";
	for (unsigned i = 0; i < WRITES; i++) {
		bool must = out->write[i] == DURABLE || (out->write[i] == SOFT && !power_lost);
		bool may = must || out->write[i] == SOFT ||
			   (out->write[i] == REFUSED && process_lost && !out->over);

		if (must == w->seen[i] || (may && w->seen[i]))
			continue;
		snprintf(text, sizeof(text), "write %u is %sthere", i, w->seen[i] ? "" : "not ");
		return text;
	}
	return NULL;
}

static void say(struct world *w, const char *what)
{
	if (what && !w->out->said[0])
		snprintf(w->out->said, sizeof(w->out->said), "%s", what);
}

/* Writes, of which one third is soft; the first refusal is looked at, healed, and writes go on. */
static void work(struct world *w)
{
	struct outcome *out = w->out;

	for (unsigned i = 0; i < WRITES && !out->over; i++) {
		bool soft = i % 3 == 2;
		int rc = put(w, i, soft);

		out->write[i] = rc < 0 ? REFUSED : soft ? SOFT : DURABLE;
		/* two more behind the refused one, so that in some runs it was the last commit but one */
		out->over = out->rc && i > out->refused + 1;
		if (rc == 0)
			continue;
		if (out->rc)
			say(w, "writes did not succeed again");
		out->rc = rc;
		out->refused = i;
		say(w, !w->error[0] || !strstr(w->error, w->path) ? "poor words" : NULL);
		say(w, compare(w, false, false));
		heal();
	}
	say(w, compare(w, false, false));
}

static void lose_power(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		int fd = open(image_names[i], O_RDWR | O_CREAT, 0600);

		if (fd < 0 || ftruncate(fd, 0) < 0 ||
		    pwrite(fd, images[i].data, (size_t)images[i].size, 0) != images[i].size)
			say(w, "no image");
	}
	snprintf(image_names[0], sizeof(image_names[0]), "%s-shm", w->path);
	unlink(image_names[0]);
}

/* In a child, since it ends without a word: killed, or with the power. */
static void run_child(struct world *w, bool power_lost)
{
	pid_t pid;
	int status;

	fflush(stderr);
	pid = fork();
	if (pid == 0) {
		snprintf(image_names[0], sizeof(image_names[0]), "%s", w->path);
		snprintf(image_names[1], sizeof(image_names[1]), "%s-wal", w->path);
		if (open_store(w) == 0)
			work(w);
		take_power();       /* nothing is written any more */
		w->out->hit = layer.hit;
		if (power_lost)
			lose_power(w);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void run(const char *says, long k, bool cut, int want, bool *hit)
{
	static const char *const files[] = { "", "-wal", "-shm" };
	struct world w = { 0 };
	const char *wrong;
	char path[128];

	w.out = mmap(NULL, sizeof(*w.out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(w.dir, sizeof(w.dir), "%s/podnet-faults-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w.dir));
	snprintf(w.path, sizeof(w.path), "%s/netd.db", w.dir);
	assert_int_equal(loop_new(&w.loop), 0);
	layer.left = k;
	layer.hit = layer.failing = false;
	run_child(&w, cut);
	heal();
	if (w.out->said[0])
		fail_msg("%s, call %ld: %s", says, k, w.out->said);
	if (w.out->rc && w.out->rc != want)
		fail_msg("%s, call %ld: %s", says, k, strerror(-w.out->rc));
	if (open_store(&w) < 0)
		fail_msg("%s, call %ld: does not open again: %s", says, k, w.error);
	wrong = compare(&w, cut, true);
	if (wrong)
		fail_msg("%s, call %ld, afterwards: %s", says, k, wrong);
	*hit = w.out->hit;
	store_close(w.store);
	loop_free(w.loop);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s%s", w.path, files[i]);
		unlink(path);
	}
	rmdir(w.dir);
	munmap(w.out, sizeof(*w.out));
}

static const struct row {
	const char *says;
	unsigned calls;
	bool lasting;
	int rc, errnum, want;
} rows[] = {
	{ "full once", WRITE, false, SQLITE_FULL, ENOSPC, -ENOSPC },
	{ "full", WRITE | SHM, true, SQLITE_FULL, ENOSPC, -ENOSPC },
	{ "quota", WRITE, true, SQLITE_IOERR_WRITE, EDQUOT, -ENOSPC },
	{ "read-only", WRITE | SYNC | TRUNCATE, true, SQLITE_IOERR_WRITE, EROFS, -EROFS },
	{ "no permission", WRITE, true, SQLITE_IOERR_WRITE, EPERM, -EACCES },
	{ "a write fails", WRITE, false, SQLITE_IOERR_WRITE, EIO, -EIO },
	{ "a sync fails", SYNC, false, SQLITE_IOERR_FSYNC, EIO, -EIO },
	{ "syncs fail", SYNC, true, SQLITE_IOERR_FSYNC, EIO, -EIO },
};

/* Each is two processes, which a sanitizer makes slow to begin and to end. */
#ifdef __SANITIZE_ADDRESS__
#define STEP 3
#else
#define STEP 1
#endif

static void fail_each(void **state)
{
	const struct row *row = *state;
	bool hit = true;

	layer.calls = row->calls;
	layer.lasting = row->lasting;
	layer.rc = row->rc;
	layer.errnum = row->errnum;
	for (long k = 1; hit; k += STEP) {
		run(row->says, k, false, row->want, &hit);
		run(row->says, k, true, row->want, &hit);
	}
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows)];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = (struct CMUnitTest){ rows[i].says, fail_each, NULL, NULL,
						(void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests(tests, start, NULL);
}
