// expected: looks ahead of every sample, so it has no recurrence to differentiate
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/recurrence/scan_vjp.hpp>

using Ssm = s4::Diagonal<float>;

void run(const Ssm::Parameters& parameters) {
#ifdef S4_MUST_FAIL
    const s4::ScanVjp<s4::Bidirectional<Ssm>> scan{parameters};
#else
    const s4::ScanVjp<Ssm> scan{parameters};
#endif
    static_cast<void>(scan.zero_gradients());
}
