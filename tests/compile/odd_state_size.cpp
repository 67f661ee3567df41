// expected: error: [^\n]*s4::Shape: the state size N is even
#include <s4/core/scalar.hpp>

#ifdef S4_MUST_FAIL
constexpr int state_size = s4::Shape<63>::state_size;
#else
constexpr int state_size = s4::Shape<64>::state_size;
#endif
static_assert(state_size > 0);
