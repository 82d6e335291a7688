//! Japanese.

use super::{Said, Words};
use crate::RejectionCode;

pub(super) const WORDS: Words = Words {
    try_now: "今すぐ試す",
    try_again: "もう一度試す",
    by_itself: "このページは数秒ごとに自動で確認します。",
    next: "次の確認まで {n} 秒",
    trying: "確認しています…",
    offline: "接続を待っています",
    opening: "開いています…",
    keeps_trying: "このページは自動で確認を続けます。",
    not_yet: "まだ開けません。{n} 秒後にもう一度確認します。",
    code: "コード",
    session: "セッション",
    time: "時刻",
    machine: "マシン",
    owner: "所有者",
    technical: "技術的な詳細（英語）",
};

const TELL_THEM: &str =
    "このサイトの運営者が修復できます。下の各行が、調べるべきことの手がかりになります。";
const GO_BACK: &str = "少し待ってから前のページに戻り、もう一度お試しください。";
const CHECK_FIRST: &str = "送信した内容が届いたかどうかは確かではありません。少し待ってから前のページに戻り、もう一度送信する前にご確認ください。";
const CHECK_THE_LINK: &str =
    "リンクをたどったか、アドレスを入力した場合は、アドレスが途中で切れていないかご確認ください。";
const START_ANOTHER: &str = "続けるには、新しいセッションを開始してください。";

pub(super) const TOO_LARGE: Said = Said::ended(
    "送り届けることができませんでした",
    "このセッションは別のコンピューターで動いています。送信された内容は、そこへ届けるには大きすぎるか、大きさが示されていません。",
    "ファイルの場合は、もっと小さいものでお試しください。",
);

const fn fault(headline: &'static str, sentence: &'static str) -> Said {
    Said::ended(headline, sentence, TELL_THEM)
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn said(code: RejectionCode) -> Said {
    match code {
        RejectionCode::SessionMalformed => Said::ended(
            "何を開けばよいかわかりません",
            "リクエストの中で、どのセッションかを示す部分を読み取れません。",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionMissing => Said::ended(
            "開くものが指定されていません",
            "リクエストに、どのセッションかが示されていません。",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionUnknown => Said::ended(
            "このセッションはありません",
            "この名前のセッションは、このサイトにはありません。",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionOver => Said::ended(
            "このセッションは終了しました",
            "閉じられたか、割り当てられた時間が過ぎました。元には戻りません。",
            START_ANOTHER,
        ),
        RejectionCode::SessionForbidden => Said::ended(
            "このセッションを開くことはできません",
            "このサイトは、このリクエストを受け付けませんでした。",
            "開けるはずだと思われる場合は、アクセスを許可した人にお問い合わせください。",
        ),
        RejectionCode::SessionUnregistered => Said::passing(
            "開始できませんでした",
            "ご要望のものを、ただいま開始できませんでした。",
            "このページを開いたままでかまいません。自動でもう一度試します。",
            "前のページに戻って、もう一度お試しください。",
        ),
        RejectionCode::SessionStarting => Said::passing(
            "このページは起動中です",
            "まだ準備ができていません。",
            "このページを開いたままでかまいません。準備ができしだい、自動で開きます。",
            GO_BACK,
        ),
        RejectionCode::SessionUnassigned => Said::passing(
            "このページは動いていません",
            "動かしていたコンピューターが手放し、ほかのコンピューターがまだ引き継いでいません。",
            "このページを開いたままでかまいません。ときどき確認し、引き継がれると自動で開きます。",
            GO_BACK,
        ),
        RejectionCode::SessionMoving => Said::passing(
            "このページは移動中です",
            "まもなく別のコンピューターが動かします。",
            "このページを開いたままでかまいません。数秒で自動で開きます。",
            GO_BACK,
        ),
        RejectionCode::OwnerLost => Said::passing(
            "このページの応答が途絶えています",
            "動かしているコンピューターから、しばらく連絡がありません。",
            "このページを開いたままでかまいません。確認を続け、そのコンピューターが戻るか、別のコンピューターが代わると自動で開きます。",
            CHECK_FIRST,
        ),
        RejectionCode::OwnerNeverSeen => Said::passing(
            "このページはまだ動いていません",
            "動かすはずのコンピューターが起動していないか、用意されていません。",
            "このページを開いたままでかまいません。確認を続け、そのコンピューターが起動すると自動で開きます。",
            GO_BACK,
        ),
        RejectionCode::DuplicateIdentity => Said::passing(
            "このページは今開けません",
            "二台のコンピューターがこのページを動かしていると主張しているため、こちらは停止しました。",
            "このページを開いたままでかまいません。確認を続け、自動で開きます。",
            GO_BACK,
        ),
        RejectionCode::ReplayNotHonoured => fault(
            "このページは別の場所にあります",
            "別のコンピューターが動かしていますが、リクエストはそこへ届けられませんでした。",
        ),
        RejectionCode::OwnerUnreachable => Said::passing(
            "このページに今は接続できません",
            "動かしているコンピューターに接続できませんでした。",
            "このページを開いたままでかまいません。確認を続け、そのコンピューターが応答すると自動で開きます。",
            CHECK_FIRST,
        ),
        RejectionCode::ReplayLoop => fault(
            "このページへの経路が見つかりません",
            "リクエストはコンピューターからコンピューターへ渡されましたが、どれもこのページを動かしていませんでした。",
        ),
        RejectionCode::NotReplayable => fault(
            "これ以上送り届けられませんでした",
            "このセッションは別のコンピューターで動いていますが、リクエストをそこへ届けられませんでした。",
        ),
        RejectionCode::SessionAbsent => Said::ended(
            "このセッションは失われました",
            "動かしているはずのコンピューターに、もうありません。待っても元には戻りません。",
            START_ANOTHER,
        ),
        RejectionCode::DirectoryCorrupt => fault(
            "このページを開けません",
            "どこで動いているかの記録が使えません。",
        ),
        RejectionCode::LookupUnavailable => Said::passing(
            "少々お待ちください",
            "このサイトは、ページがどこにあるかを調べられませんでした。ページそのものの状態を示すものではありません。",
            "このページを開いたままでかまいません。確認を続け、自動で開きます。",
            GO_BACK,
        ),
    }
}
