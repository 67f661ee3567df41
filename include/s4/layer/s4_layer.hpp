// The dual-mode S4 layer: one set of parameters, run as a recurrence or as a convolution, chosen at compile time.
#pragma once

#include <s4/convolution/causal_convolution.hpp>
#include <s4/kernel/diagonal_kernel.hpp>
#include <s4/kernel/dplr_kernel.hpp>
#include <s4/layer/layer.hpp>
#include <s4/recurrence/diagonal_recurrence.hpp>
#include <s4/recurrence/dplr_recurrence.hpp>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace s4::inline S4_ABI {

namespace detail {

struct Nothing {};

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
        // y = K * u + D u is one convolution; kernels that run backwards, behind those, have no D.
        for (Index row = 0; row < parameters.D.rows(); ++row) kernels(row, 0) += parameters.D[row];
        const KernelRows rows{.heads = parameters.heads(), .bidirectional = !is_causal<Ssm>};
        convolution_ = std::make_shared<const Convolution>(kernels, rows, planning);
    }
    [[nodiscard]] const Convolution& get() const noexcept { return *convolution_; }
    [[nodiscard]] Index length() const noexcept { return convolution_ ? convolution_->length() : 0; }

private:
    std::shared_ptr<const Convolution> convolution_;  // const: copies of a layer share it
};

/// A layer that looks ahead has no recurrence, and no state.
template <class Parameters>
struct NoRecurrence {
    struct State {};
    struct StateMatrix {};
    explicit NoRecurrence(const Parameters& parameters)
        : channels_{parameters.channels()}, outputs_{parameters.D.rows()} {}
    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] Index outputs() const noexcept { return outputs_; }
    [[nodiscard]] State make_state() const noexcept { return {}; }

private:
    Index channels_;
    Index outputs_;
};

template <class Ssm>
struct RecurrenceOf {
    using Type = Recurrence<Ssm>;
};
template <class Ssm>
struct RecurrenceOf<Bidirectional<Ssm>> {
    using Type = NoRecurrence<typename Ssm::Parameters>;
};

/// Scratch of a layer in Mode::convolution: of the transforms, and a state for the answer to an initial one.
template <class Ssm, class Fft>
struct LayerWorkspace {
    typename CausalConvolution<Fft>::Workspace convolution;
    typename RecurrenceOf<Ssm>::Type::State initial;
};

}  // namespace detail

/// An S4 layer of H independent single-input systems, each with one or several outputs (heads): y = K * u + D u.
///
/// `Ssm` is the system, `Mode` picks the calls that exist:
///     system     what A is                         layer of it, for short
///     Dplr       diagonal plus low rank            S4<Scalar, Mode>
///     Diagonal   diagonal                          S4D<Scalar, Mode>
///     Dense      any matrix                        Lssl<Scalar, Mode>, <s4/layer/dense_layer.hpp>
///     Bidirectional<Dplr or Diagonal>, both ways   S4Layer<Bidirectional<…>, Mode::convolution>
/// Both modes hold the same parameters:
///     S4Layer<Ssm, Mode::recurrence> stream{layer.parameters()};
/// and a state that comes out of one mode goes on in the other. Two phases: the constructor, prepare, make_workspace
/// and make_state may allocate and raise Error; forward, step and scan are noexcept and do neither. A layer is const
/// when it runs and may be shared by threads; a Workspace belongs to one thread, a State to one stream.
template <class Ssm_, Mode M, class Fft = Fftw<typename Ssm_::Scalar>>
class S4Layer {
    static_assert(M == Mode::convolution || is_causal<Ssm_>,
                  "s4::S4Layer: a bidirectional system looks ahead of every sample, so it cannot run sample by sample; "
                  "use Mode::convolution, or the system without s4::Bidirectional");
    using Recurrent = typename detail::RecurrenceOf<Ssm_>::Type;

public:
    using Ssm = Ssm_;
    using Scalar = typename Ssm::Scalar;
    using Parameters = typename Ssm::Parameters;
    using State = typename Recurrent::State;
    using StateMatrix = typename Recurrent::StateMatrix;
    using Workspace = detail::LayerWorkspace<Ssm, Fft>;  ///< complete in Mode::convolution only
    static constexpr Mode mode = M;

    /// Error on bad parameters. Diagonal O(H N), Dplr O(H rank² N) and with C~ or a kernel_limit O(H N³ log n), Dense
    /// O(H N³); times the number of heads.
    explicit S4Layer(Parameters parameters)
        : parameters_{std::move(parameters)}, recurrence_{detail::or_out_of_memory("S4Layer", [this] {
              return Recurrent{checked(parameters_)};
          })} {}

    [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }
    /// H: inputs.
    [[nodiscard]] Index channels() const noexcept { return recurrence_.channels(); }
    /// heads·H: outputs; output c·H + h is that of head c of channel h.
    [[nodiscard]] Index outputs() const noexcept { return recurrence_.outputs(); }

    /// A zero state for one stream (or one sequence after another).
    [[nodiscard]] State make_state() const requires CausalSystem<Ssm> {
        return detail::or_out_of_memory("S4Layer::make_state", [this] { return recurrence_.make_state(); });
    }

    /// The state x [H × N/2] (Dense: [H × N]) in the coordinates of the parameters. O(H N). Error when it is another
    /// layer's.
    [[nodiscard]] StateMatrix read_state(const State& state) const requires CausalSystem<Ssm> {
        detail::require(recurrence_.fits(state), "S4Layer::read_state: the state belongs to another layer");
        StateMatrix x(channels(), recurrence_.state_columns());
        recurrence_.read(state, x);
        return x;
    }
    /// Sets the state; inputs before it count as zero (of meaning with a kernel_limit only). Error unless x has the
    /// shape that `read_state` gives and the state is one of this layer's.
    void write_state(State& state, const StateMatrix& x) const requires CausalSystem<Ssm> {
        detail::require(recurrence_.fits(state), "S4Layer::write_state: the state belongs to another layer");
        detail::check_tensor(Ssm::name, "state", x, channels(), recurrence_.state_columns());
        recurrence_.write(state, x);
    }

    // ---- Mode::convolution ------------------------------------------------------------------------------------------

    /// Makes the kernels for sequences of up to `length` samples and their transforms. O(H (kernel + L log L)). Error
    /// when the length is not in [1, max_fft_size], a kernel is not finite or memory runs out; the layer then is as it
    /// was. Workspaces made before belong to the old length: make new ones.
    void prepare(Index length, Planning planning = Planning::estimate) requires ConvolutionMode<M> {
        detail::require(length >= 1 && length <= max_fft_size, "S4Layer::prepare: the length must lie in [1, ",
                        max_fft_size, "], found ", length);
        detail::or_out_of_memory("S4Layer::prepare", [&] { prepared_.prepare(parameters_, length, planning); });
    }
    /// The longest sequence `forward` takes; 0 before `prepare`.
    [[nodiscard]] Index prepared_length() const noexcept requires ConvolutionMode<M> { return prepared_.length(); }

    /// Scratch for one thread, of the prepared length. Error before `prepare`.
    [[nodiscard]] Workspace make_workspace() const requires ConvolutionMode<M> {
        detail::require(prepared_.length() > 0, "S4Layer::make_workspace: call prepare(length) first");
        return detail::or_out_of_memory("S4Layer::make_workspace", [this] {
            return Workspace{typename CausalConvolution<Fft>::Workspace{prepared_.get()}, recurrence_.make_state()};
        });
    }

    /// y [B·l × heads·H] from u [B·l × H]: a batch of B sequences of l ≤ prepared_length() samples each, one after the
    /// other, all from a zero state; with one head y may be u. O(B H L log L).
    void forward(Workspace& workspace, const SequenceView<Scalar>& u, const SequenceOut<Scalar>& y,
                 Index batch = 1) const noexcept requires ConvolutionMode<M> {
        S4_ASSERT(prepared_.length() > 0, "S4Layer::forward: call prepare(length) first");
        prepared_.get()(workspace.convolution, u, y, batch);
    }

    /// The same for one sequence that starts from `state` and leaves its final state there, so that chunks follow each
    /// other and a recurrence can go on. Beyond the convolution O(H N L): the recurrence advances the state and
    /// computes the answer to the initial one. With one head y may be u.
    void forward(Workspace& workspace, State& state, const SequenceView<Scalar>& u,
                 const SequenceOut<Scalar>& y) const noexcept requires ConvolutionMode<M> && CausalSystem<Ssm> {
        S4_ASSERT(prepared_.length() > 0, "S4Layer::forward: call prepare(length) first");
        S4_ASSERT(
            u.rows() == y.rows() && u.rows() <= prepared_.length() && u.cols() == channels() && y.cols() == outputs(),
            "S4Layer::forward: u must be [l × H] and y [l × heads·H], with l up to the prepared length");
        S4_ASSERT(recurrence_.fits(state) && recurrence_.fits(workspace.initial),
                  "S4Layer::forward: the state or the workspace belongs to another layer");
        workspace.initial = state;
        recurrence_.advance(state, u.rows(), u.data(), u.row_stride());
        forward(workspace, u, y);
        recurrence_.add_free_response(workspace.initial, u.rows(), y.data(), y.row_stride());
    }

    // ---- Mode::recurrence -------------------------------------------------------------------------------------------

    /// One sample of every channel: y_t [heads·H] from u_t [H]; with one head y_t may be u_t. O(H N); for Dense O(H
    /// N²).
    void step(State& state, const FrameView<Scalar>& u,
              const FrameOut<Scalar>& y) const noexcept requires RecurrenceMode<M> {
        S4_ASSERT(u.size() == channels() && y.size() == outputs(), "S4Layer::step: u must be [H] and y [heads·H]");
        recurrence_.step(state, u.data(), y.data());
    }

    /// Any number of samples, y [l × heads·H] from u [l × H], with the state carried: the same as l steps, but faster.
    /// With one head y may be u. O(H N l).
    void scan(State& state, const SequenceView<Scalar>& u,
              const SequenceOut<Scalar>& y) const noexcept requires RecurrenceMode<M> {
        S4_ASSERT(u.rows() == y.rows() && u.cols() == channels() && y.cols() == outputs(),
                  "S4Layer::scan: u must be [l × H] and y [l × heads·H]");
        recurrence_.scan(state, u.rows(), u.data(), u.row_stride(), y.data(), y.row_stride());
    }

    /// A system that looks ahead has no step.
    template <class... Arguments>
    void step(Arguments&&...) const requires(!CausalSystem<Ssm>) {
        static_assert(sizeof...(Arguments) == std::size_t(-1),
                      "s4::S4Layer: a bidirectional system looks ahead of every sample, so it has no step");
    }
    /// Nor a scan.
    template <class... Arguments>
    void scan(Arguments&&...) const requires(!CausalSystem<Ssm>) {
        static_assert(sizeof...(Arguments) == std::size_t(-1),
                      "s4::S4Layer: a bidirectional system looks ahead of every sample, so it has no scan");
    }

private:
    static constexpr bool convolves = M == Mode::convolution;

    static const Parameters& checked(const Parameters& parameters) {
        Ssm::validate(parameters);
        return parameters;
    }

    Parameters parameters_;
    Recurrent recurrence_;
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
