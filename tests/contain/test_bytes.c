/*
 * Goal: a string of bytes is what it was made of, for every thread, and nothing but that.
 * Method: sizes from none to more than a page, bytes of every value, equal and unequal ones;
 * threads that ask for one hash at once, and other processes; memory that is refused.
 * A failure would mean: a server compares or looks up something else than it was given.
 */
#include "fixture.h"

static ouro_bytes *bytes_make(const void *data, size_t size)
{
	ouro_bytes *b = ouro_bytes_new(data, size);

	if (b == NULL)
		abort();
	return b;
}

static void bytes_are_what_they_were_made_of(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 100, 4096, 70000, 3000000 };
	char *data = malloc(3000000);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < 3000000; i++)
		data[i] = (char)(i * 7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		ouro_bytes *b = bytes_make(data, sizes[i]);
		const char *copy = ouro_bytes_data(b);

		assert_int_equal(ouro_bytes_size(b), sizes[i]);
		assert_memory_equal(copy, data, sizes[i]);
		assert_int_equal(copy[sizes[i]], 0);
		assert_int_equal((uintptr_t)copy % 16, 0);
		assert_ptr_not_equal(copy, data);
		assert_false(ouro_gc_is_tracked(b));
		ouro_release(b);
	}
	free(data);
}

static void bytes_refuse_what_cannot_be(void **state)
{
	(void)state;
	errno = 0;
	assert_null(ouro_bytes_new(NULL, 1));
	assert_int_equal(errno, EINVAL);
	assert_null(ouro_bytes_new("", SIZE_MAX));
	assert_int_equal(errno, EOVERFLOW);
	assert_null(ouro_bytes_new("", SIZE_MAX - 1));
	assert_int_equal(errno, EOVERFLOW);
	assert_null(ouro_bytes_data(NULL));
	assert_int_equal(ouro_bytes_size(NULL), 0);
	assert_true(ouro_bytes_hash(NULL) == 0);
}

static void bytes_without_memory_are_none(void **state)
{
	ouro_config cfg = test_config();

	(void)state;
	cfg.heap_limit = 16u << 20;
	heap_start(&cfg);
	char *data = calloc(1, 64u << 20);
	assert_non_null(data);
	assert_null(ouro_bytes_new(data, 64u << 20));
	assert_int_equal(errno, ENOMEM);
	ouro_bytes *b = bytes_make(data, 1000);
	ouro_release(b);
	free(data);
}

static void bytes_equal_by_what_they_hold(void **state)
{
	ouro_bytes *a = bytes_make("some\0bytes", 10), *same = bytes_make("some\0bytes", 10);
	ouro_bytes *last = bytes_make("some\0bytez", 10), *shorter = bytes_make("some\0byte", 9);
	ouro_bytes *none = bytes_make(NULL, 0);

	(void)state;
	for (int hashed = 0; hashed < 2; hashed++) {
		assert_true(ouro_bytes_equal(a, a) && ouro_bytes_equal(a, same));
		assert_false(ouro_bytes_equal(a, last) || ouro_bytes_equal(last, a));
		assert_false(ouro_bytes_equal(a, shorter) || ouro_bytes_equal(shorter, a));
		assert_false(ouro_bytes_equal(a, none) || ouro_bytes_equal(a, NULL));
		assert_false(ouro_bytes_equal(NULL, none));
		assert_true(ouro_bytes_equal(NULL, NULL));
		assert_true(ouro_bytes_hash(a) == ouro_bytes_hash(same));
		assert_true(ouro_bytes_hash(a) != ouro_bytes_hash(last));
		assert_true(ouro_bytes_hash(a) != ouro_bytes_hash(shorter));
		assert_true(ouro_bytes_hash(none) != 0);
	}
	ouro_release(a);
	ouro_release(same);
	ouro_release(last);
	ouro_release(shorter);
	ouro_release(none);
}

enum { THREADS = 4, STRINGS = 2000 };

static ouro_bytes *strings[STRINGS];

/* Returns the sum of all hashes, whoever computes them first. */
static void *hash_all(void *arg)
{
	uint64_t sum = 0;

	(void)arg;
	for (int i = 0; i < STRINGS; i++)
		sum += ouro_bytes_hash(strings[i]);
	return (void *)(uintptr_t)sum;
}

static void bytes_have_one_hash_for_all_threads(void **state)
{
	pthread_t t[THREADS];
	uintptr_t sum = 0;

	(void)state;
	for (int i = 0; i < STRINGS; i++)
		strings[i] = bytes_make(&i, sizeof(i));
	for (int i = 0; i < THREADS; i++)
		t[i] = thread_start(hash_all, NULL);
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(t[i], &result);
		assert_true(i == 0 || (uintptr_t)result == sum);
		sum = (uintptr_t)result;
	}
	for (int i = 0; i < STRINGS; i++)
		ouro_release(strings[i]);
}

static int hash_in_child(void *arg)
{
	static ouro_bytes *again;
	uint64_t *hash = arg;

	again = bytes_make("child", 5);
	REQUIRE(ouro_bytes_hash(again) == *hash);
	ouro_release(again);
	return 0;
}

static void bytes_hash_alike_in_a_forked_child(void **state)
{
	ouro_bytes *b = bytes_make("child", 5);
	uint64_t hash = ouro_bytes_hash(b);

	(void)state;
	child_run(hash_in_child, &hash);
	ouro_release(b);
}

/* Prints the hash of some bytes; it is not that of another process, as the key is drawn. */
static int print_hash(void)
{
	ouro_bytes *b = bytes_make("child", 5);

	printf("%llx\n", (unsigned long long)ouro_bytes_hash(b));
	ouro_release(b);
	return 0;
}

static void bytes_hash_otherwise_in_another_process(void **state)
{
	char command[4200] = "", said[2][64] = { "", "" };
	ssize_t n = readlink("/proc/self/exe", command, 4096);

	(void)state;
	assert_in_range(n, 1, 4096);
	strcpy(command + n, " hash");
	for (int i = 0; i < 2; i++) {
		FILE *f = popen(command, "r");

		assert_non_null(f);
		assert_non_null(fgets(said[i], sizeof(said[i]), f));
		assert_int_equal(pclose(f), 0);
	}
	assert_string_not_equal(said[0], said[1]);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "hash") == 0)
		return print_hash();
	const struct CMUnitTest tests[] = {
		HEAP_CASE(bytes_are_what_they_were_made_of),
		HEAP_CASE(bytes_refuse_what_cannot_be),
		BARE_CASE(bytes_without_memory_are_none),
		HEAP_CASE(bytes_equal_by_what_they_hold),
		HEAP_CASE(bytes_have_one_hash_for_all_threads),
		HEAP_CASE(bytes_hash_alike_in_a_forked_child),
		HEAP_CASE(bytes_hash_otherwise_in_another_process),
	};

	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
