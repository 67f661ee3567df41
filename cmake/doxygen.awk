# What Doxygen reads in place of each header: the same lines, made plain for a parser that does not know all of C++20,
# and with a word on the members that mean the same everywhere. Headers stay as short as they are; a comment of their own
# always wins. Line numbers do not change.

BEGIN {
    # Members without a comment: a regular expression for the declaration, and what is said of it.
    say("using Scalar = ", "The real numbers that it computes with.")
    say("using Complex = ", "A complex number of `Scalar`.")
    say("using Rule = ", "The discretisation rule.")
    say("using Shape = ", "The sizes that are known at compile time.")
    say("using Ssm = ", "The system: Diagonal, Dplr or Dense.")
    say("using Parameters = ", "The parameters of the system.")
    say("using State = ", "What one stream carries from sample to sample.")
    say("using StateMatrix = ", "A state in the coordinates of the parameters.")
    say("(using Workspace = |struct Workspace )", "Scratch, one for each thread.")
    say("using (Real|Complex)Table = ", "A number for each channel and stored state [H × N/2].")
    say("static constexpr (const char\\*|std::string_view) name = ", "Its name in messages, files and look-ups.")
    say("static constexpr Index rank = ", "Number of rows of the low-rank correction.")
    say("static constexpr int (H|channels) = ", "Number of channels H, or Dynamic.")
    say("static constexpr int state_size = ", "Number of states N, or Dynamic.")
    say("static constexpr int pairs = ", "Number of stored states N/2, or Dynamic.")
    say("static constexpr Mode mode = ", "How the layer runs.")
    say("(double D = 0;)", "Feedthrough: D u is added to the output.")
    say("Transform dt_transform = ", "How `inv_dt` becomes dt.")
    say("Transform real_transform = ", "How `A_real` becomes −Re λ.")
    say("Transform imag_transform = ", "How `A_imag` becomes −Im λ.")
    say("Index channels = Shape", "Number of channels H.")
    say("Index state_size = Shape", "Number of states N, even.")
    say("Index rank = -1;", "Number of rows of P.")
    say("Mixture<Hippo> hippo = ", "The measures that A and B of the sets come from.")
    say("Mixture<S4dInit> init = ", "The eigenvalues that the sets start from.")
    say("S4dInput input = ", "The B to start from.")
    say("SsmOptions ssm = ", "Transforms, rate, limits: what the system keeps beside its tensors.")
    say("\\[\\[no_unique_address\\]\\] Rule rule = ", "The discretisation rule, with its own parameters.")
    say("static constexpr int heads = ", "Outputs for each channel, or Dynamic.")
    say("Frozen frozen = ", "Tensors that an optimiser leaves alone.")
    say("using Options = ", "What `random` makes.")
    say("Timescale timescale = ", "The range of dt.")
    say("double dt_min = ", "The smallest dt.")
    say("double dt_max = ", "The largest dt.")
    say("using Block = ", "The block that it is made of.")
    say("using Model = ", "The SequenceModel.")
    say("using Targets = ", "What a batch is scored against.")
    say("using Task = ", "What it is trained on.")
    say("Index (features|inputs|outputs|layers)\\(\\) const", "A size, from the shapes of the tensors.")
    say("void (forward|vjp)\\(Workspace& ?(workspace)?, const (Diagonal|Dplr)System& system", "As TrainableKernel says.")
    say("using Tape = ", "What a forward pass leaves for its reverse pass.")
    say("TrainableKernel\\(const Parameters& p, Index", "For kernels of that length.")
    say("std::string_view name;", "Its name in checkpoints.")
    say("TensorRole role;", "How an optimiser treats it.")

    say("Index channels\\(\\)", "Number of channels H.")
    say("Index state_size\\(\\)", "Number of states N.")
    say("Index heads\\(\\)", "Number of outputs for each channel.")
    say("Index sets\\(\\)", "Number S of sets of states.")
    say("Index outputs\\(\\)", "Number of outputs, heads · H.")
    say("Index state_columns\\(\\)", "Number of columns of a StateMatrix.")
    say("Index rank\\(\\)", "Number of rows of P for each channel.")
    say("Index length\\(\\)", "Number of samples.")
    say("const Parameters& parameters\\(\\)", "The parameters that it was made from.")

    say("HippoSystem transition\\(", "A [N × N] and B [N]; see HippoMeasure.")
    say("Eigen::MatrixXd low_rank\\(", "The correction P [rank × N]; see NormalPlusLowRankMeasure.")
    say("double real_part\\(\\)", "The multiple of the identity; see NormalPlusLowRankMeasure.")
    say("DiagonalStep<Real> diagonal\\(", "The time step of one eigenvalue; see DiscretizationRule.")
    say("DiagonalGradient<Real> diagonal_vjp\\(", "Its reverse pass; see DifferentiableRule.")
    say("(constexpr |)double weight\\(\\)", "w of the generalised bilinear family; see WeightedRule.")

    say("(const |)T\\* data\\(\\)", "The values [size].")
    say("(constexpr |)Index size\\(\\)", "Number of values.")
    say("void set_zero\\(\\)", "All values become 0.")
    say("(friend |)Lanes(& | )operator", "Lane by lane.")
    say("inline constexpr double max_step_size", "The largest; see min_step_size.")
    say("(inline |constexpr |)std::string_view name_of\\(Transform", "The name that `transform_from_name` takes.")

    recurrence = "As the primary template Recurrence says."
    say("State make_state\\(\\)", recurrence)
    say("void (reset)\\(\\)", "Back to the zero state.")
    say("void (step|scan|advance|add_free_response|read|write)\\(.*State& state", recurrence)

    say("(auto|Workspace) make_workspace\\(\\)", "Scratch for one thread.")
    say("KernelGenerator\\(", "For kernels of `length` entries at most.")
    say("void operator\\(\\)\\(Workspace&.* Index row", "Writes the kernel of row c·H + h of C.")
    say("explicit (Workspace|VjpWorkspace|Gradient)\\(", "For this object.")

    back_end = "As FftBackend says."
    say("using Spectrum = ", back_end)
    say("explicit (Real|)(Plan|Buffer)\\(", back_end)
    say("void (fill|drain|forward|inverse|convolve|inverse_product|add_product|add_conjugate_product)\\(", back_end)
    say("(Spectrum make_spectrum|std::complex<Scalar> bin|Complex bin)\\(", back_end)
    say("(std::complex<Scalar>|Complex|Scalar)\\* (spectrum|signal)\\(\\)", back_end)
}

function protect_apostrophes(line,    result, before, code) {
    while (match(line, /`[^`]+`/)) {
        before = substr(line, 1, RSTART - 1)
        code = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        result = result before (code ~ /'/ ? "`" code "`" : code)
    }
    return result line
}

function say(declaration, words) {
    declarations[++known] = "^ *(\\[\\[nodiscard\\]\\] )?(static )?" declaration
    descriptions[known] = words
}

# Doxygen takes the apostrophe in `x' = A x` for the end of the code.
/`[^`]*'[^`]*`/ { $0 = protect_apostrophes($0) }

FILENAME ~ /[.]md$/ {
    print
    next
}

{
    gsub(/namespace s4::inline S4_ABI/, "namespace s4")  # one namespace, as users write it

    # Lines of a comment that are set off by spaces stay lines: a formula, `call` – what it does, or code.
    set_off = match($0, /^ *\/\/\/   +[^ ]/)
    if (set_off) {
        indentation = substr($0, 1, index($0, "///") + 2)
        text = substr($0, RLENGTH)
        if (RLENGTH - length(indentation) > 4) {
            text = "@code{.cpp} " text " @endcode"
        } else if (match(text, /\)  +|} +|\) [a-z]+ ←/)) {
            text = "`" substr(text, 1, RSTART) "` – " substr(text, RSTART + 1)
        }
        $0 = indentation " @n " text
    } else if (was_set_off && $0 ~ /^ *\/\/\/ /) {
        sub(/\/\/\/ /, "/// @n ")
    }
    was_set_off = set_off

    # Sections of a class.
    if ($0 ~ /^ +\/\/ ---- .* -+$/) {
        gsub(/ *[-\/]+ */, "")
        $0 = (in_section ? "/** @} */ " : "") "/** @name " $0 " */ /** @{ */"
        in_section = 1
    } else if (in_section && /^(private:|};)/) {
        $0 = "/** @} */ " $0
        in_section = 0
    }

    # `Table a, b;  ///< what they are` describes both.
    if (match($0, /^ +[A-Za-z:<>]+ [A-Za-z_]+, [A-Za-z_]+;( *\/\/\/<.*)?$/)) {
        split($0, halves, "///<")
        words = halves[2] == "" ? "" : " /**< " halves[2] " */"
        declaration = halves[1]
        sub(/ +$/, "", declaration)
        comma = index(declaration, ", ")
        type = declaration
        sub(/ [A-Za-z_]+, .*/, "", type)
        $0 = substr(declaration, 1, comma - 1) ";" words type " " substr(declaration, comma + 2) words
    }

    comment = $0 ~ /^ *\/\/\//
    if (!comment && !described && $0 !~ /\/\/\/</) {
        for (i = 1; i <= known; ++i)
            if ($0 ~ declarations[i]) {
                match($0, /^ */)
                $0 = substr($0, 1, RLENGTH) "/** " descriptions[i] " */ " substr($0, RLENGTH + 1)
                break
            }
    }
    # A comment also counts for what follows a line that only opens a template.
    described = comment || (described && $0 ~ /^ *template <.*> *$/)
    print
}
