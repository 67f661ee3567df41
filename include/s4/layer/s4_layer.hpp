// The dual-mode S4 layer: one set of parameters, run as a recurrence or as a convolution, chosen at compile time.
#pragma once

#include <s4/convolution/causal_convolution.hpp>
#include <s4/kernel/diagonal_kernel.hpp>
#include <s4/kernel/dplr_kernel.hpp>
#include <s4/layer/layer.hpp>
#include <s4/recurrence/diagonal_recurrence.hpp>
#include <s4/recurrence/dplr_recurrence.hpp>

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace s4::inline S4_ABI {

namespace detail {

struct Nothing {};

/// Runs `work` and turns a failed allocation into an Error that says for what.
template <class Work>
void or_out_of_memory(const char* what, const Work& work) {
#if defined(__cpp_exceptions)
    try {
        work();
    } catch (const std::bad_alloc&) {
        raise("out of memory: ", what);
    }
#else
    static_cast<void>(what);
    work();
#endif
}

/// What Mode::convolution adds to a layer. Separate, so that Mode::recurrence never touches an FFT.
template <class Ssm, class Fft>
class PreparedConvolution {
    static_assert(
        requires { sizeof(Fft); },
        "s4::S4Layer in Mode::convolution needs the definition of its FFT: #include <s4/fft/fftw.hpp> for "
        "s4::Fftw (the default), or <s4/fft/kiss_fft.hpp> and name s4::KissFft as the third argument");

public:
    using Scalar = typename Ssm::Scalar;
    using Convolution = CausalConvolution<Fft>;
    static_assert(std::is_same_v<typename Fft::Scalar, Scalar>, "s4::S4Layer: the FFT and the system need one scalar");

    void prepare(const typename Ssm::Parameters& parameters, Index length, Planning planning) {
        Sequence<Scalar> kernels = convolution_kernels<Ssm, Fft>(parameters, length, planning);
        kernels.col(0) += parameters.D;  // y = K * u + D u is one convolution
        convolution_ = std::make_shared<const Convolution>(kernels, planning);
    }
    [[nodiscard]] const Convolution& get() const noexcept { return *convolution_; }
    [[nodiscard]] Index length() const noexcept { return convolution_ ? convolution_->length() : 0; }

private:
    std::shared_ptr<const Convolution> convolution_;  // const: copies of a layer share it
};

/// Scratch of a layer in Mode::convolution: of the transforms, and a state for the answer to an initial one.
template <class Ssm, class Fft>
struct LayerWorkspace {
    typename CausalConvolution<Fft>::Workspace convolution;
    typename Recurrence<Ssm>::State initial;
};

}  // namespace detail

/// An S4 layer of H independent single-input single-output systems: y = K * u + D u.
///
/// `Ssm` is Dplr (S4), Diagonal (S4D) or Dense (<s4/layer/dense_layer.hpp>); `Mode` picks the calls that exist. Both
/// modes hold the same parameters:
///     S4Layer<Ssm, Mode::recurrence> stream{layer.parameters()};
/// and a state that comes out of one mode goes on in the other. Two phases: the constructor, prepare, make_workspace
/// and make_state may allocate and raise Error; forward, step and scan are noexcept and do neither. A layer is const
/// when it runs and may be shared by threads; a Workspace belongs to one thread, a State to one stream.
template <class Ssm_, Mode M, class Fft = Fftw<typename Ssm_::Scalar>>
class S4Layer {
public:
    using Ssm = Ssm_;
    using Scalar = typename Ssm::Scalar;
    using Parameters = typename Ssm::Parameters;
    using State = typename Recurrence<Ssm>::State;
    using StateMatrix = typename Recurrence<Ssm>::StateMatrix;
    using Workspace = detail::LayerWorkspace<Ssm, Fft>;  ///< complete in Mode::convolution only
    static constexpr Mode mode = M;

    /// Error on bad parameters. Diagonal O(H N), Dplr O(H rank² N) and with C~ O(H N³ log n), Dense O(H N³).
    explicit S4Layer(Parameters parameters) : parameters_{std::move(parameters)}, recurrence_{parameters_} {}

    [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }
    [[nodiscard]] Index channels() const noexcept { return recurrence_.channels(); }

    /// A zero state for one stream (or one sequence after another).
    [[nodiscard]] State make_state() const { return recurrence_.make_state(); }

    /// The state x [H × N/2] (Dense: [H × N]) in the coordinates of the parameters. O(H N).
    [[nodiscard]] StateMatrix read_state(const State& state) const {
        StateMatrix x(channels(), state_columns());
        recurrence_.read(state, x);
        return x;
    }
    /// Sets the state. Error unless x has the shape that `read_state` gives.
    void write_state(State& state, const StateMatrix& x) const {
        detail::check_tensor(Ssm::name, "state", x, channels(), state_columns());
        recurrence_.write(state, x);
    }

    // ---- Mode::convolution ------------------------------------------------------------------------------------------

    /// Makes the kernels for sequences of up to `length` samples and their transforms. O(H (kernel + L log L)). Error
    /// when the length is not in [1, max_fft_size], a kernel is not finite or memory runs out; the layer then is as it
    /// was. Workspaces made before belong to the old length: make new ones.
    void prepare(Index length, Planning planning = Planning::estimate) requires ConvolutionMode<M> {
        detail::or_out_of_memory("S4Layer::prepare", [&] { prepared_.prepare(parameters_, length, planning); });
    }
    /// The longest sequence `forward` takes; 0 before `prepare`.
    [[nodiscard]] Index prepared_length() const noexcept requires ConvolutionMode<M> { return prepared_.length(); }

    /// Scratch for one thread, of the prepared length. Error before `prepare`.
    [[nodiscard]] Workspace make_workspace() const requires ConvolutionMode<M> {
        detail::require(prepared_.length() > 0, "S4Layer::make_workspace: call prepare(length) first");
        return {typename CausalConvolution<Fft>::Workspace{prepared_.get()}, make_state()};
    }

    /// y [B·l × H] from u [B·l × H]: a batch of B sequences of l ≤ prepared_length() samples each, one after the other,
    /// all from a zero state; y may be u. O(B H L log L).
    void forward(Workspace& workspace, const SequenceView<Scalar>& u, SequenceOut<Scalar> y,
                 Index batch = 1) const noexcept requires ConvolutionMode<M> {
        S4_ASSERT(prepared_.length() > 0, "S4Layer::forward: call prepare(length) first");
        prepared_.get()(workspace.convolution, u, y, batch);
    }

    /// The same for one sequence that starts from `state` and leaves its final state there, so that chunks follow each
    /// other and a recurrence can go on. Beyond the convolution O(H N L): the recurrence advances the state and
    /// computes the answer to the initial one. y may be u.
    void forward(Workspace& workspace, State& state, const SequenceView<Scalar>& u,
                 SequenceOut<Scalar> y) const noexcept requires ConvolutionMode<M> {
        workspace.initial = state;
        recurrence_.advance(state, u.rows(), u.data(), u.outerStride());
        forward(workspace, u, y);
        recurrence_.add_free_response(workspace.initial, u.rows(), y.data(), y.outerStride());
    }

    // ---- Mode::recurrence -------------------------------------------------------------------------------------------

    /// One sample of every channel: y_t [H] from u_t [H]; y_t may be u_t. O(H N); for Dense O(H N²).
    void step(State& state, const FrameView<Scalar>& u, FrameOut<Scalar> y) const noexcept requires RecurrenceMode<M> {
        S4_ASSERT(u.size() == channels() && y.size() == channels(), "S4Layer::step: u and y must be [H]");
        recurrence_.step(state, u.data(), y.data());
    }

    /// Any number of samples, y [l × H] from u [l × H], with the state carried: the same as l steps, but faster. y may
    /// be u. O(H N l).
    void scan(State& state, const SequenceView<Scalar>& u,
              SequenceOut<Scalar> y) const noexcept requires RecurrenceMode<M> {
        S4_ASSERT(u.rows() == y.rows() && u.cols() == channels() && y.cols() == channels(),
                  "S4Layer::scan: u and y must be [l × H]");
        recurrence_.scan(state, u.rows(), u.data(), u.outerStride(), y.data(), y.outerStride());
    }

private:
    static constexpr bool convolves = M == Mode::convolution;

    [[nodiscard]] Index state_columns() const noexcept {
        if constexpr (requires { parameters_.A_real; }) {
            return parameters_.A_real.cols();
        } else {
            return parameters_.state_size();
        }
    }

    Parameters parameters_;
    Recurrence<Ssm> recurrence_;
    [[no_unique_address]] std::conditional_t<convolves, detail::PreparedConvolution<Ssm, Fft>, detail::Nothing>
        prepared_;
};

/// S4: diagonal plus low rank. `S4<float, Mode::convolution>`.
template <RealScalar Scalar, Mode M, class Fft = Fftw<Scalar>>
using S4 = S4Layer<Dplr<Scalar>, M, Fft>;

/// S4D: diagonal, zero-order hold. `S4D<float, Mode::recurrence>`.
template <RealScalar Scalar, Mode M, class Fft = Fftw<Scalar>>
using S4D = S4Layer<Diagonal<Scalar>, M, Fft>;

}  // namespace s4::inline S4_ABI
